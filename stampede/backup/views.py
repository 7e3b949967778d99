"""Backups as people see them: by the stack's name and the key of the volume in its file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from stampede.backup.catalogue import Listed
from stampede.backup.verify import BadObject, Level
from stampede.errors import BackupError, BadInput, Damaged, UnknownName
from stampede.frozen import Frozen
from stampede.retention import Decision


class BackupView(Frozen):
    """One backup of one volume. `name` is `stack/volume`; `origin` the cluster and `host` the host that made it.

    One with `trouble` is lost, and sizes are 0.
    """

    name: str
    stack: str
    volume: str
    backup: int
    store: str
    host: str
    origin: str
    created: datetime
    size_bytes: int
    data_bytes: int
    changed_bytes: int
    uploaded_bytes: int
    trouble: str = ""


class VolumeBackedUp(Frozen):
    """What the backup of one volume came to. `dropped` are earlier ones that its file does not keep."""

    volume: str
    backup: int
    store: str
    host: str
    created: datetime
    logical_bytes: int
    changed_bytes: int
    uploaded_bytes: int
    requests: int
    duration_s: float
    dropped: tuple[int, ...] = ()


class StackBackedUp(Frozen):
    """What a backup of a stack did. `planned` says on a dry run what would be backed up, and where to."""

    stack: str
    volumes: tuple[VolumeBackedUp, ...] = ()
    planned: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


class BadPiece(Frozen):
    """Something stored that is not what was written, and the backups of its volume that it damages."""

    volume: str
    object: str
    start: int
    end: int
    what: str
    backups: tuple[int, ...]


class BackupsVerified(Frozen):
    """What was looked at, and what is bad. `damaged` are backups, as `volume@number`."""

    stack: str
    level: Level
    volumes: tuple[str, ...]
    checked_bytes: int
    checked_backups: int
    bad: tuple[BadPiece, ...] = ()
    damaged: tuple[str, ...] = ()


class Kept(Frozen):
    """Whether a backup is kept, and why."""

    backup: int
    created: datetime
    keep: bool
    reasons: tuple[str, ...]


class VolumePruned(Frozen):
    """What pruning did to the backups of one volume, or would do. Bytes as they are in the bucket."""

    volume: str
    store: str
    decisions: tuple[Kept, ...]
    dropped: tuple[int, ...]
    condemned_bytes: int
    rewritten_bytes: int
    deleted_bytes: int


class BackupsPruned(Frozen):
    stack: str
    volumes: tuple[VolumePruned, ...] = ()
    dry_run: bool = False


class VolumeRestored(Frozen):
    """A volume that came out of a backup, and where it is. `volume` is what it is called now."""

    volume: str
    from_volume: str
    backup: int
    created: datetime
    host: str
    size_bytes: int
    restored_bytes: int
    received_bytes: int
    requests: int
    duration_s: float


class BackupsRestored(Frozen):
    """What a restore did, or on a dry run would do. `revision` is what runs afterwards; None if nothing of the stack
    changed but its volumes."""

    stack: str
    store: str
    volumes: tuple[VolumeRestored, ...] = ()
    revision: int | None = None
    plan: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


class VolumeArrived(Frozen):
    """A volume all of which has come out of a backup. `finished` is false while something uses it, so that it cannot
    become a volume like others yet."""

    volume: str
    from_volume: str
    backup: int
    created: datetime
    host: str
    size_bytes: int
    finished: bool
    duration_s: float


class InstantlyRestored(Frozen):
    """A volume that was used while it came out of a backup. `usable_s` passed until it could be.

    `arrived` is None on a dry run, on which `plan` says what would be done.
    """

    stack: str
    store: str
    usable_s: float = 0.0
    arrived: VolumeArrived | None = None
    plan: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


class FileEntry(Frozen):
    """What a backup has at a path, which is that from the volume's root on. `other` are devices, sockets and pipes."""

    path: str
    kind: Literal["file", "folder", "link", "other"]
    size_bytes: int
    changed: datetime
    mode: int
    uid: int
    gid: int


class FilesListed(Frozen):
    """A folder of a backup. `left_off` is how many entries of it are not here, `received_bytes` what was fetched."""

    volume: str
    backup: int
    store: str
    created: datetime
    path: str
    entries: tuple[FileEntry, ...]
    left_off: int
    received_bytes: int


class FilesRestored(Frozen):
    """Paths that were copied out of a backup to `target` on `host`, which is `folder` of the volume if that is not "".

    `left_out` are devices, sockets and pipes, `received_bytes` is what was fetched of the backup. On a dry run, the
    paths that would be copied.
    """

    stack: str
    volume: str
    backup: int
    store: str
    created: datetime
    host: str
    target: str = ""
    folder: str = ""
    paths: tuple[str, ...] = ()
    files: int = 0
    folders: int = 0
    copied_bytes: int = 0
    received_bytes: int = 0
    left_out: tuple[str, ...] = ()
    duration_s: float = 0.0
    dry_run: bool = False


class DrillReport(Frozen):
    """What a drill showed. `recovery_s` passed from its beginning until the services were healthy on the restored data.

    `data_age_s` is how old the oldest of the backups was, `verified_bytes` what was compared with its hashes. The file
    system of each volume was checked, and the repositories of the stores `opened` open by their recovery keys alone.
    `checks` are services whose check succeeded, `left_out` mounts of the host that they do not get, with the reasons.
    """

    stack: str
    host: str = ""
    volumes: tuple[str, ...] = ()
    backups: tuple[int, ...] = ()
    services: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    verified_bytes: int = 0
    recovery_s: float = 0.0
    data_age_s: float = 0.0
    warnings: tuple[str, ...] = ()


def name_of(stack: str, key: str) -> str:
    """What a volume is called in a repository, and by people."""
    return f"{stack}/{key}"


def view_of(listed: Listed, store: str) -> BackupView:
    stack, _, key = listed.volume.partition("/")
    return BackupView(
        name=listed.volume,
        stack=stack,
        volume=key,
        backup=listed.backup,
        store=store,
        host=listed.host,
        origin=listed.origin,
        created=listed.created,
        size_bytes=listed.size_bytes,
        data_bytes=listed.data_bytes,
        changed_bytes=listed.changed_bytes,
        uploaded_bytes=listed.uploaded_bytes,
        trouble=listed.trouble,
    )


def bad_piece(volume: str, bad: BadObject) -> BadPiece:
    return BadPiece(volume=volume, object=bad.object, start=bad.start, end=bad.end, what=bad.what, backups=bad.backups)


def kept(decisions: Iterable[Decision]) -> tuple[Kept, ...]:
    return tuple(
        Kept(backup=int(each.item.id), created=each.item.created, keep=each.keep, reasons=each.reasons)
        for each in decisions
    )


def picked(
    known: Sequence[BackupView], stack: str, keys: Sequence[str] | None, backup: int | None, until: datetime | None
) -> tuple[BackupView, ...]:
    """Of each volume of the stack, or of those named, the newest backup; not after `until`; or the one numbered.

    Raises: UnknownName, BackupError when there is none, Damaged when the one numbered is lost.
    """
    own = [one for one in known if one.stack == stack and (keys is None or one.volume in keys)]
    if not own:
        what = stack if keys is None else ", ".join(name_of(stack, key) for key in keys)
        raise BackupError(f"there is no backup of {what}", "stampede backup ls lists all of a store")
    if backup is not None:
        own = [one for one in own if one.backup == backup]
        for one in own:
            if one.trouble:
                raise Damaged(f"{one.name}@{backup} is lost: {one.trouble}", "restore another one")
    own = [one for one in own if not one.trouble]
    if until is not None:
        own = [one for one in own if one.created <= until]
    last: dict[str, BackupView] = {}
    for one in sorted(own, key=lambda one: one.created):
        last[one.volume] = one
    missing = sorted(set(keys or ()) - last.keys())
    if missing or not last:
        what = f"backup {backup}" if backup is not None else f"backup from before {until}"
        volumes = ", ".join(name_of(stack, key) for key in missing) or stack
        raise UnknownName(f"{volumes} has no {what}", f"stampede backup ls {stack} shows which there are")
    return tuple(last[key] for key in sorted(last))


def newest(views: Iterable[BackupView]) -> BackupView:
    return max(views, key=lambda view: view.created)


def free_key(key: str, backup: int, taken: Iterable[str]) -> str:
    """What a volume from a backup is called beside others: as it was, if nothing is called so."""
    known = set(taken)
    if key not in known:
        return key
    wanted = f"{key}-restored-{backup}"
    return next(name for n in range(len(known) + 2) if (name := wanted if not n else f"{wanted}-{n + 1}") not in known)


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """These paths in a volume without those that others of them contain, each from the volume's root on.

    Raises: BadInput for one that leads outside, or is the root.
    """
    found: set[PurePosixPath] = set()
    for path in paths:
        pure = PurePosixPath(path.lstrip("/"))
        if ".." in pure.parts or not pure.parts or "\0" in path:
            raise BadInput(f"{path!r} is no path in a volume", "name it from the volume's root on, without ..")
        found.add(pure)
    return tuple(sorted(str(one) for one in found if not found & set(one.parents)))
