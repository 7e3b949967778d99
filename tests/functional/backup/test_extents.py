"""Extent maps and clones on real file systems: no changed block is ever missed."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import struct
from collections.abc import Iterator
from ctypes import CDLL, c_long, get_errno
from pathlib import Path

import pytest

from stampede.blocks.extents import NoReflink, clone, extent_count, extents
from stampede.extents import Range, changed_ranges
from tests.lab.reflink import reflink_pool

pytestmark = pytest.mark.functional

SIZE = 8 << 20
BLOCK = 4096
_FICLONERANGE = 0x4020940D
_PUNCH_HOLE, _ALLOCATE, _ZERO_RANGE = 0x03, 0x01, 0x11
_libc = CDLL(None, use_errno=True)


@pytest.fixture(scope="module", params=["xfs", "btrfs"])
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with reflink_pool(tmp_path_factory.mktemp("pool"), request.param) as mount:
        yield mount


@pytest.fixture
def image(pool: Path) -> Iterator[int]:
    descriptor = os.open(pool / "image", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.ftruncate(descriptor, SIZE)
    yield descriptor
    os.close(descriptor)


def snapshot(image: int, path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    clone(image, descriptor)
    return descriptor


def change(image: int, dice: random.Random) -> None:
    """One change of a kind that programs make."""
    at, length = dice.randrange(SIZE // 512) * 512, dice.choice((1, 512, 4096, 5000, 65536, 700_000))
    length = min(length, SIZE - at)
    kind = dice.randrange(8)
    if kind < 4:
        os.pwrite(image, dice.choice((dice.randbytes(length), bytes(length))), at)
    elif kind < 7:
        mode = (_PUNCH_HOLE, _ALLOCATE, _ZERO_RANGE)[kind - 4]
        if _libc.fallocate(image, mode, c_long(at), c_long(length)):
            assert get_errno() == errno.EOPNOTSUPP
    else:
        count = dice.randrange(1, 64) * BLOCK
        source = dice.randrange(SIZE // BLOCK // 4) * BLOCK
        target = SIZE // 2 + dice.randrange(SIZE // BLOCK // 4) * BLOCK
        fcntl.ioctl(image, _FICLONERANGE, struct.pack("=qQQQ", image, source, count, target))
    if dice.random() < 0.2:
        os.fsync(image)


def differing_blocks(one: int, other: int) -> set[int]:
    first, second = os.pread(one, SIZE, 0), os.pread(other, SIZE, 0)
    return {at // BLOCK for at in range(0, SIZE, BLOCK) if first[at : at + BLOCK] != second[at : at + BLOCK]}


def blocks_of(ranges: list[Range]) -> set[int]:
    return {number for start, end in ranges for number in range(start // BLOCK, -(-end // BLOCK))}


@pytest.mark.parametrize("seed", range(3))
def test_no_changed_block_is_missed_by_the_difference_of_two_snapshots(pool: Path, image: int, seed: int) -> None:
    dice = random.Random(seed)
    before = snapshot(image, pool / "before")
    for _ in range(60):
        for _ in range(dice.choice((0, 1, 3, 40))):
            change(image, dice)
        after = snapshot(image, pool / "after")
        assert differing_blocks(before, after) <= blocks_of(changed_ranges(extents(before), extents(after)))
        os.close(before)
        before = after
        (pool / "after").rename(pool / "before")
    os.close(before)


def test_one_written_block_is_about_all_that_is_reported(pool: Path, image: int) -> None:
    os.pwrite(image, os.urandom(SIZE), 0)
    before = snapshot(image, pool / "before")
    os.pwrite(image, os.urandom(BLOCK), 5 * BLOCK)
    after = snapshot(image, pool / "after")
    assert blocks_of(changed_ranges(extents(before), extents(after))) == {5}
    os.close(before)
    os.close(after)


def test_the_count_is_that_of_the_map(pool: Path, image: int) -> None:
    for number in range(0, 64, 2):
        os.pwrite(image, os.urandom(BLOCK), number * BLOCK)
    assert extent_count(image) == len(extents(image)) >= 32


def test_a_map_of_more_extents_than_fit_one_answer_is_whole(pool: Path) -> None:
    descriptor = os.open(pool / "wide", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.ftruncate(descriptor, 10_000 * BLOCK)  # XFS allocates ahead of what grows a file
    for number in range(5000):
        os.pwrite(descriptor, b"x", number * 2 * BLOCK)
    found = extents(descriptor)
    os.close(descriptor)
    assert [extent.start for extent in found] == [number * 2 * BLOCK for number in range(5000)]


def test_a_file_system_without_reflink_says_so(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+b") as source, (tmp_path / "b").open("wb") as target, pytest.raises(NoReflink):
        clone(source.fileno(), target.fileno())
