"""Restoring: an image under its name only once every block of it was compared with its hash and is on the disk."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path

from stampede.backup.fetching import Wanted, read_portions
from stampede.backup.reader import SIDE_BY_SIDE, OpenBackup, batches, portions, wanted_chunk
from stampede.backup.repository import Keys
from stampede.backup.store import ObjectStore
from stampede.backup.tables import CHUNK, CHUNKS, SEGMENT, Frame
from stampede.errors import BackupError, BadInput, Damaged, Refused
from stampede.extents import Range
from stampede.frozen import Frozen

Progress = Callable[[int, int], None]


class NoSpace(BackupError):
    """The disk cannot hold what is to be restored."""


class RestoreReport(Frozen):
    """What was restored. `holes` are ranges that could not be read and are zeros; only with `allow_holes`.

    `newer_lost` are commits behind this backup that cannot be read, and may have been newer backups.
    """

    volume: str
    backup: int
    created: datetime
    size_bytes: int
    restored_bytes: int
    received_bytes: int
    requests: int
    holes: tuple[Range, ...] = ()
    newer_lost: tuple[int, ...] = ()
    spec: str


def restore(
    store: ObjectStore,
    keys: Keys,
    volume: str,
    target: Path,
    *,
    backup: int | None = None,
    allow_holes: bool = False,
    largest_bytes: int | None = None,
    progress: Progress = lambda done, of: None,
    cancelled: threading.Event | None = None,
) -> RestoreReport:
    """Afterwards `target` is the volume's image as of that backup (the newest if None), sparse, whole and on the disk.

    Until then, and if this raises or dies, there is only `<target>.partial`, which the next restore begins anew.

    Raises: Refused if `target` is there already, BackupError if there is no backup, UnknownName, BadInput if the image
    has more than `largest_bytes`, NoSpace (and nothing is left), Cancelled, StoreUnavailable, Damaged with what cannot
    be read: unless `allow_holes`, nothing is restored.
    """
    if target.exists():
        raise Refused(f"{target} is there already", "restore to another name, or move it away")
    requests, received = store.counts.requests, store.counts.received
    opened = OpenBackup(store, keys, volume, backup, cancelled)
    if largest_bytes is not None and opened.snapshot.size > largest_bytes:
        what = f"backup {opened.commit.seq} of {volume} has {opened.snapshot.size} bytes, not {largest_bytes}"
        raise BadInput(f"{what}: it does not fit", "restore it to a larger volume")
    partial = target.with_name(f"{target.name}.partial")
    _require_space(target.parent, opened.snapshot.data_bytes)
    try:
        restored, holes = _write(opened, partial, progress)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        partial.unlink(missing_ok=True)
        raise NoSpace(f"the disk of {target.parent} was full before all was restored", _SPACE_HINT) from error
    if holes and not allow_holes:
        raise Damaged(f"{volume} cannot be restored from backup {opened.commit.seq}: {_first(holes)}", _HOLES_HINT)
    partial.rename(target)
    _sync(target.parent)
    return RestoreReport(
        volume=volume,
        backup=opened.commit.seq,
        created=opened.snapshot.created,
        size_bytes=opened.snapshot.size,
        restored_bytes=restored,
        received_bytes=store.counts.received - received,
        requests=store.counts.requests - requests,
        holes=tuple(sorted(holes)),
        newer_lost=opened.newer_lost,
        spec=opened.snapshot.spec,
    )


_SPACE_HINT = "make room, or restore to another disk"
_HOLES_HINT = "choose another backup, or restore with holes; stampede backup verify says what is damaged"


def _write(opened: OpenBackup, partial: Path, progress: Progress) -> tuple[int, dict[Range, Damaged]]:
    """How many bytes were written, and what is a hole because it cannot be read. What was written is on the disk."""
    size, lock = opened.snapshot.size, threading.Lock()
    holes: dict[Range, Damaged] = {}
    done = 0
    image = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def deliver(one: Wanted, chunk: memoryview) -> None:
        nonlocal done
        at = one.chunk * CHUNK
        content = chunk[: size - at]
        while content:
            written = os.pwrite(image, content, at)
            content, at = content[written:], at + written
        with lock:
            done += CHUNK
            progress(min(done, size), opened.snapshot.data_bytes)

    def harmed(one: Wanted, frame: Frame, damage: Damaged) -> None:
        with lock:
            holes[Range(one.chunk * CHUNK, min((one.chunk + 1) * CHUNK, size))] = damage

    def wanted() -> Iterator[list[Wanted]]:
        for batch in batches(opened.manifest.segments):
            pieces = chunks_of(batch)
            for at in range(0, len(pieces), SIDE_BY_SIDE):
                yield from portions(chain.from_iterable(pieces[at : at + SIDE_BY_SIDE]))
                _begin_writing_back(image)

    def chunks_of(batch: list[int]) -> list[list[Wanted]]:
        pieces: list[list[Wanted]] = []
        for number, table in sorted(opened.tables(batch).items()):
            if isinstance(table, Damaged):
                holes[Range(number * SEGMENT, min((number + 1) * SEGMENT, size))] = table
            else:
                pieces.append([wanted_chunk(table, number * CHUNKS, chunk) for chunk in table.entries])
        return pieces

    try:
        os.ftruncate(image, size)
        read_portions(opened.fetcher, wanted(), deliver, harmed)
        os.fsync(image)
    finally:
        os.close(image)
    return done, holes


def _begin_writing_back(image: int) -> None:
    """The disk writes while more is fetched, instead of all at the end; what is on it already leaves the page cache."""
    os.posix_fadvise(image, 0, 0, os.POSIX_FADV_DONTNEED)


def _require_space(folder: Path, needed: int) -> None:
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < needed:
        raise NoSpace(f"{needed} bytes do not fit the disk of {folder}", _SPACE_HINT)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first(holes: dict[Range, Damaged]) -> str:
    ranges = sorted(holes)
    more = f" and {len(ranges) - 1} more" if len(ranges) > 1 else ""
    return f"bytes {ranges[0].start} to {ranges[0].end}{more} are lost: {holes[ranges[0]].message}"
