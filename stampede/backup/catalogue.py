"""What backups there are: read from the bucket with the keys alone."""

from __future__ import annotations

from datetime import UTC, datetime

from stampede.backup.log import Commit, Log, Snapshot
from stampede.backup.names import VOLUMES, commit_name, volume_folder, volume_of
from stampede.backup.repository import Keys
from stampede.backup.store import ObjectStore
from stampede.errors import BackupError, Damaged, UnknownName
from stampede.frozen import Frozen


class Listed(Frozen):
    """A backup of a volume. With `trouble` it is lost; `created` is when its commit was written then, sizes are 0."""

    volume: str
    backup: int
    created: datetime
    size_bytes: int
    data_bytes: int
    changed_bytes: int
    uploaded_bytes: int
    origin: str
    host: str = ""
    trouble: str = ""


def volumes(store: ObjectStore) -> list[str]:
    """Volumes that were ever backed up here. One request per 1000."""
    return [volume_of(folder) for folder in store.folders(VOLUMES)]


def backups(store: ObjectStore, keys: Keys, volume: str, *, with_lost: bool = False) -> list[Listed]:
    """Its backups that are kept, oldest first; with those that are lost if asked for.

    Raises: Damaged if none of the newest can be read, NewerFormat.
    """
    log = Log(store, keys.volume(volume_folder(volume)))
    state = log.state()
    found = [_listed(volume, seq, snapshot) for seq, snapshot in state.snapshots.items()]
    if with_lost:
        found += [_lost(store, log, volume, seq) for seq in state.lost | log.broken.keys()]
    return sorted(found, key=lambda one: one.backup)


def catalogue(store: ObjectStore, keys: Keys, *, with_lost: bool = False) -> list[Listed]:
    """All backups that are kept, of all volumes."""
    return [one for volume in volumes(store) for one in backups(store, keys, volume, with_lost=with_lost)]


def spec_of(store: ObjectStore, keys: Keys, volume: str, backup: int) -> str:
    """What is needed to bring the app back, as this backup has it: JSON, with secrets. Raises: as `find_backup`."""
    log = Log(store, keys.volume(volume_folder(volume)))
    snapshot = find_backup(log, log.head(), volume, backup).snapshot
    assert snapshot is not None, "it is among the backups"
    return snapshot.spec


def find_backup(log: Log, head: Commit, volume: str, backup: int | None) -> Commit:
    """The commit of this backup, or of the newest that can be read; `head` is that of the log.

    Raises: BackupError if there is none, UnknownName, Damaged if it is lost.
    """
    if backup is None:
        return _newest(log, head, volume)
    if backup != head.newest:
        state = log.state(head)
        if backup in state.lost or backup in log.broken:
            raise Damaged(f"backup {backup} of {volume} cannot be read", "restore another one: stampede backup ls")
        if backup not in state.snapshots:
            raise UnknownName(f"{volume} has no backup {backup}", "stampede backup ls shows which there are")
    return head if backup == head.seq else log.read(backup)


def _newest(log: Log, head: Commit, volume: str) -> Commit:
    newest = head if head.newest == head.seq else log.tried(head.newest) if head.newest else None
    if newest is not None and newest.snapshot is not None:
        return newest
    for seq in sorted(log.state(head).snapshots, reverse=True) if head.newest else ():
        if (commit := log.tried(seq)) is not None:
            return commit
    raise BackupError(f"there is no backup of {volume}", "stampede backup run makes one")


def _listed(volume: str, seq: int, snapshot: Snapshot) -> Listed:
    return Listed(
        volume=volume,
        backup=seq,
        created=snapshot.created,
        size_bytes=snapshot.size,
        data_bytes=snapshot.data_bytes,
        changed_bytes=snapshot.changed_bytes,
        uploaded_bytes=snapshot.uploaded_bytes,
        origin=snapshot.origin,
        host=snapshot.host,
    )


def _lost(store: ObjectStore, log: Log, volume: str, seq: int) -> Listed:
    """A commit that cannot be read; it may have been something else than a backup."""
    name = commit_name(volume_folder(volume), seq)
    written = next((found.written for found in store.list(name)), datetime.fromtimestamp(0, UTC))
    damage = log.broken.get(seq)
    return Listed(
        volume=volume,
        backup=seq,
        created=written,
        size_bytes=0,
        data_bytes=0,
        changed_bytes=0,
        uploaded_bytes=0,
        origin="",
        trouble=f"{damage.message if damage else 'it cannot be read'}; older backups are not affected",
    )
