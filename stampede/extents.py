"""Where the blocks of two images differ, told from where they lie on the disk: no image is read for it.

Two files of a reflink pool that have the same physical address at the same offset share that extent, hence its content,
as long as both files are still there and nobody writes to them. So both have to be snapshots, alive during the
comparison. On btrfs a running balance moves extents (/sys/fs/btrfs/*/exclusive_operation): then compare by content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Flags of an extent, from linux/fiemap.h.
LAST = 0x1
UNKNOWN = 0x2
DELAYED = 0x4
ENCODED = 0x8
NOT_ALIGNED = 0x100
INLINE = 0x200
UNWRITTEN = 0x800

_WITHOUT_ADDRESS = UNKNOWN | DELAYED | ENCODED | NOT_ALIGNED | INLINE


class Extent(NamedTuple):
    """Bytes `start` to `start + length` of a file, which lie at `physical` on its disk."""

    start: int
    physical: int
    length: int
    flags: int = 0

    @property
    def end(self) -> int:
        return self.start + self.length


class Range(NamedTuple):
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int


def data_ranges(extents: Iterable[Extent], size: int) -> list[Range]:
    """What of a file of `size` bytes is allocated; the rest is holes, which read as zeros."""
    return _merged(Range(extent.start, min(extent.end, size)) for extent in extents if extent.start < size)


def changed_ranges(old: Sequence[Extent], new: Sequence[Extent]) -> list[Range]:
    """Ranges outside of which both files have the same content: sorted, apart, possibly past the end of a file.

    Both maps are sorted by `start`. What became a hole counts as changed, and so does an extent whose address the file
    system does not know. Ranges may hold blocks that are equal after all: the caller compares their content.
    """
    return _merged(_differing(old, new))


def _differing(old: Sequence[Extent], new: Sequence[Extent]) -> Iterable[Range]:
    """Both maps are walked together, from one boundary of an extent to the next."""
    at = i = j = 0
    while i < len(old) or j < len(new):
        before, now = _from(old, i, at), _from(new, j, at)
        end = min(before.end, now.end)
        if not _same(before, now):
            yield Range(at, end)
        i += i < len(old) and old[i].end <= end
        j += j < len(new) and new[j].end <= end
        at = end


_HOLE = -1
_ENDLESS = 1 << 62


def _from(extents: Sequence[Extent], index: int, at: int) -> Extent:
    """What the map has from byte `at` on: the rest of extent `index`, or the hole before it."""
    if index == len(extents):
        return Extent(at, _HOLE, _ENDLESS - at)
    extent = extents[index]
    if extent.start > at:
        return Extent(at, _HOLE, extent.start - at)
    skip = at - extent.start
    return Extent(at, extent.physical + skip, extent.length - skip, extent.flags)


def _same(before: Extent, now: Extent) -> bool:
    if _HOLE in (before.physical, now.physical):
        return before.physical == now.physical
    flags = before.flags | now.flags
    written_alike = not (before.flags ^ now.flags) & UNWRITTEN
    return before.physical == now.physical and written_alike and not flags & _WITHOUT_ADDRESS


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for start, end in ranges:
        if merged and start <= merged[-1].end:
            merged[-1] = Range(merged[-1].start, max(end, merged[-1].end))
        else:
            merged.append(Range(start, end))
    return merged
