"""Which chunks of an image a backup has to look at: pure arithmetic on ranges."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from stampede.backup.tables import ALL_BLOCKS, BLOCK, CHUNK, CHUNKS
from stampede.extents import Range

Masks = dict[int, int]


class Look(NamedTuple):
    """What of a segment may have changed: for each chunk the blocks, 0 for one that is a hole now.

    With `rest_is_zero` all its other chunks are holes, without they are as they were.
    """

    segment: int
    masks: Masks
    rest_is_zero: bool


def whole_image(data: Sequence[Range], size: int, known: Collection[int]) -> Iterator[Look]:
    """Everything is read but holes. `known` are the segments for which something is stored."""
    remaining = sorted(known)
    for segment, masks in _by_segment(_clipped(data, size)):
        while remaining and remaining[0] < segment:
            yield Look(remaining.pop(0), {}, rest_is_zero=True)
        if remaining and remaining[0] == segment:
            remaining.pop(0)
        yield Look(segment, dict.fromkeys(masks, ALL_BLOCKS), rest_is_zero=True)
    for segment in remaining:
        yield Look(segment, {}, rest_is_zero=True)


def changed_parts(
    changed: Sequence[Range], data: Sequence[Range], *, before: int, size: int, distrusted: Collection[int] = ()
) -> Iterator[Look]:
    """Only what is in `changed` is read, for an image that had `before` bytes and has `size` now.

    Segments in `distrusted` are looked at as well, for what is stored of them and cannot be read.
    """
    marks = list(_clipped(changed, size))
    if size < before:  # the end of the last chunk reads as zeros now, and what was behind it is gone
        marks = sorted([*marks, Range(max(size - 1, 0), before)])
    there = _Following(_by_segment(_clipped(data, size)))
    extra = sorted(distrusted)
    for segment, masks in _by_segment(marks):
        while extra and extra[0] < segment:
            yield Look(extra.pop(0), {}, rest_is_zero=False)
        if extra and extra[0] == segment:
            extra.pop(0)
        holding = there.at(segment)
        last = (size - 1) // CHUNK - segment * CHUNKS if size < before and size else -1
        seen = {chunk: (ALL_BLOCKS if chunk == last else mask) * (chunk in holding) for chunk, mask in masks.items()}
        yield Look(segment, seen, rest_is_zero=False)
    for segment in extra:
        yield Look(segment, {}, rest_is_zero=False)


def one_segment(segment: int, data: Sequence[Range], size: int) -> Look:
    """Everything in one segment, whatever is stored of it."""
    for number, masks in _by_segment(_clipped(data, size)):
        if number == segment:
            return Look(segment, dict.fromkeys(masks, ALL_BLOCKS), rest_is_zero=True)
    return Look(segment, {}, rest_is_zero=True)


def runs(chunks: Iterable[int], most: int) -> Iterator[range]:
    """Chunks that follow each other, at most so many at once."""
    begin = end = -1
    for chunk in chunks:
        if chunk != end or end - begin == most:
            if begin >= 0:
                yield range(begin, end)
            begin = chunk
        end = chunk + 1
    if begin >= 0:
        yield range(begin, end)


class _Following:
    """Masks by segment, asked for in rising order."""

    def __init__(self, pairs: Iterator[tuple[int, Masks]]) -> None:
        self._pairs = pairs
        self._held: tuple[int, Masks] | None = next(pairs, None)

    def at(self, segment: int) -> Masks:
        while self._held is not None and self._held[0] < segment:
            self._held = next(self._pairs, None)
        return self._held[1] if self._held is not None and self._held[0] == segment else {}


def _clipped(ranges: Iterable[Range], size: int) -> Iterator[Range]:
    for start, end in ranges:
        if start < size:
            yield Range(start, min(end, size))


def _by_segment(ranges: Iterable[Range]) -> Iterator[tuple[int, Masks]]:
    """Sorted ranges as masks of blocks, segment by segment."""
    segment, masks = -1, Masks()
    for start, end in ranges:
        for chunk in range(start // CHUNK, -(-end // CHUNK)):
            if chunk // CHUNKS != segment:
                if masks:
                    yield segment, masks
                segment, masks = chunk // CHUNKS, {}
            mask = _mask(max(start - chunk * CHUNK, 0), min(end - chunk * CHUNK, CHUNK))
            masks[chunk % CHUNKS] = masks.get(chunk % CHUNKS, 0) | mask
    if masks:
        yield segment, masks


def _mask(start: int, end: int) -> int:
    """The blocks of a chunk that bytes `start` to `end` touch."""
    first, behind = start // BLOCK, -(-end // BLOCK)
    return (1 << behind) - (1 << first)
