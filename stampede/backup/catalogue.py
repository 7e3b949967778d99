"""What backups there are: read from the bucket with the keys alone."""

from __future__ import annotations

from datetime import datetime

from stampede.backup.log import Commit, Log, Snapshot
from stampede.backup.names import VOLUMES, volume_folder, volume_of
from stampede.backup.repository import Keys
from stampede.backup.store import ObjectStore
from stampede.errors import BackupError, UnknownName
from stampede.frozen import Frozen


class Listed(Frozen):
    """A backup of a volume."""

    volume: str
    backup: int
    created: datetime
    size_bytes: int
    data_bytes: int
    changed_bytes: int
    uploaded_bytes: int
    origin: str
    host: str = ""


def volumes(store: ObjectStore) -> list[str]:
    """Volumes that were ever backed up here. One request per 1000."""
    return [volume_of(folder) for folder in store.folders(VOLUMES)]


def backups(store: ObjectStore, keys: Keys, volume: str) -> list[Listed]:
    """Its backups that are kept, oldest first. Raises: Damaged, NewerFormat."""
    state = Log(store, keys.volume(volume_folder(volume))).state()
    return [_listed(volume, seq, snapshot) for seq, snapshot in sorted(state.snapshots.items())]


def catalogue(store: ObjectStore, keys: Keys) -> list[Listed]:
    """All backups that are kept, of all volumes."""
    return [one for volume in volumes(store) for one in backups(store, keys, volume)]


def spec_of(store: ObjectStore, keys: Keys, volume: str, backup: int) -> str:
    """What is needed to bring the app back, as this backup has it: JSON, with secrets. Raises: as `find_backup`."""
    snapshot = find_backup(Log(store, keys.volume(volume_folder(volume))), volume, backup).snapshot
    assert snapshot is not None, "it is among the backups"
    return snapshot.spec


def find_backup(log: Log, volume: str, backup: int | None) -> Commit:
    """The commit of this backup, or of the newest. Raises: BackupError if there is none, UnknownName, Damaged."""
    head = log.head()
    if not head.newest:
        raise BackupError(f"there is no backup of {volume}", "stampede backup run makes one")
    seq = head.newest if backup is None else backup
    if seq != head.newest and seq not in log.state(head).snapshots:
        raise UnknownName(f"{volume} has no backup {seq}", "stampede backup ls shows which there are")
    return head if seq == head.seq else log.read(seq)


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
