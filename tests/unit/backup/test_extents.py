"""Differences of extent maps: pure, so held against every block of generated files."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stampede.extents import INLINE, UNWRITTEN, Extent, Range, changed_ranges, data_ranges

BLOCK = 4096


def as_extents(blocks: list[tuple[int, int] | None]) -> list[Extent]:
    """A file whose n-th block lies in block `number` of the disk with `flags`; None is a hole."""
    extents: list[Extent] = []
    for index, block in enumerate(blocks):
        if block is None:
            continue
        number, flags = block
        last = extents[-1] if extents else None
        follows = last is not None and (last.end, last.physical + last.length, last.flags) == (
            index * BLOCK,
            number * BLOCK,
            flags,
        )
        if last is not None and follows:
            extents[-1] = last._replace(length=last.length + BLOCK)
        else:
            extents.append(Extent(index * BLOCK, number * BLOCK, BLOCK, flags))
    return extents


block = st.none() | st.tuples(st.integers(1, 6), st.sampled_from([0, 0, 0, UNWRITTEN, INLINE]))
files = st.lists(block, max_size=24)


@given(files, files)
def test_exactly_the_blocks_that_do_not_lie_at_the_same_address_have_changed(
    old: list[tuple[int, int] | None], new: list[tuple[int, int] | None]
) -> None:
    length = max(len(old), len(new))
    padded = [file + [None] * (length - len(file)) for file in (old, new)]
    expected = {
        index
        for index, (before, now) in enumerate(zip(*padded, strict=True))
        if before != now or (now is not None and now[1] == INLINE)
    }
    ranges = changed_ranges(as_extents(old), as_extents(new))
    assert {number for start, end in ranges for number in range(start // BLOCK, end // BLOCK)} == expected


@given(files, files)
def test_ranges_are_sorted_and_apart(old: list[tuple[int, int] | None], new: list[tuple[int, int] | None]) -> None:
    ranges = changed_ranges(as_extents(old), as_extents(new))
    assert all(start < end for start, end in ranges)
    assert all(one.end < next_one.start for one, next_one in pairwise(ranges))


def test_what_became_a_hole_has_changed() -> None:
    assert changed_ranges([Extent(0, BLOCK, 3 * BLOCK)], [Extent(0, BLOCK, BLOCK)]) == [Range(BLOCK, 3 * BLOCK)]


def test_data_ends_with_the_file() -> None:
    extents = [Extent(0, BLOCK, BLOCK), Extent(BLOCK, 9 * BLOCK, BLOCK), Extent(4 * BLOCK, 0, BLOCK)]
    assert data_ranges(extents, 4 * BLOCK + 10) == [Range(0, 2 * BLOCK), Range(4 * BLOCK, 4 * BLOCK + 10)]
    assert data_ranges(extents, BLOCK + 1) == [Range(0, BLOCK + 1)]
