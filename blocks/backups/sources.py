"""An image of a pool as the source of a backup: what is data, and what changed since an earlier snapshot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stampede.backup.writer import Source
from stampede.blocks.extents import extents
from stampede.extents import Extent, Range, changed_ranges, data_ranges

_BTRFS = Path("/sys/fs/btrfs")


@contextmanager
def opened_source(image: Path, base_image: Path | None, base: int) -> Iterator[Source]:
    """The image, open while the context is. Without a base that can be compared by extents, all of it is to be read."""
    descriptor = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        own = _extents(descriptor)
        data = _data_by_seeking(descriptor, size) if own is None else data_ranges(own, size)
        compared = _compared(descriptor, own, base_image) if own is not None and base_image is not None else None
        if compared is None:
            yield Source(descriptor, size, data)
        else:
            changed, base_size = compared
            yield Source(descriptor, size, data, changed, base, base_size)
    finally:
        os.close(descriptor)


def _compared(image: int, own: list[Extent], base_image: Path) -> tuple[list[Range], int] | None:
    """Where the two differ and how long the base is; None if extents cannot tell: no such file, or another pool."""
    if _is_balancing():
        return None
    try:
        descriptor = os.open(base_image, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        about = os.fstat(descriptor)
        theirs = _extents(descriptor) if about.st_dev == os.fstat(image).st_dev else None
        return None if theirs is None else (changed_ranges(theirs, own), about.st_size)
    finally:
        os.close(descriptor)


def _extents(descriptor: int) -> list[Extent] | None:
    with suppress(OSError):
        return extents(descriptor)
    return None


def _data_by_seeking(descriptor: int, size: int) -> list[Range]:
    """What is no hole, on file systems that have no extent maps."""
    ranges: list[Range] = []
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            break
        at = os.lseek(descriptor, start, os.SEEK_HOLE)
        ranges.append(Range(start, min(at, size)))
    return ranges


def _is_balancing() -> bool:
    """Whether some btrfs of this host moves extents about right now."""
    running = (path.read_text().strip() for path in _BTRFS.glob("*/exclusive_operation"))
    return any(operation != "none" for operation in running)
