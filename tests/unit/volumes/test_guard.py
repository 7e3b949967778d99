"""The guard of a pool, on fakes: in which order it drops, holds and lets go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from stampede.blocks.volumes.guard import relieve
from tests.fakes.volumes import FakeVolumePool
from tests.lab.pools import wanted


class Writers:
    def __init__(self) -> None:
        self.held: list[str] = []

    def hold(self, volumes: Sequence[str]) -> tuple[str, ...]:
        self.held = list(volumes)
        return tuple(volumes)

    def let_go(self) -> tuple[str, ...]:
        gone, self.held = tuple(self.held), []
        return gone


class Pool(FakeVolumePool):
    """Each snapshot takes `each` bytes."""

    each = 0

    def remove_snapshot(self, volume: str, snapshot: str) -> bool:
        self.used_bytes -= self.each
        return super().remove_snapshot(volume, snapshot)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    pool = Pool(tmp_path)
    pool.ensure_volume(wanted("shop_a"))
    for _ in range(4):
        pool.snapshot(["shop_a"])
    return pool


def test_a_host_without_a_pool_needs_no_relief(tmp_path: Path) -> None:
    assert not relieve(FakeVolumePool(tmp_path), Writers()).dropped


def test_no_more_snapshots_go_than_have_to(pool: Pool) -> None:
    pool.used_bytes, pool.each = int(pool.size_bytes * 0.9), int(pool.size_bytes * 0.03)
    first, second, *_ = pool.snapshots("shop_a")
    done = relieve(pool, Writers())
    assert [one.snapshot for one in done.dropped] == [first.id, second.id]
    assert done.held == ()


def test_writers_are_held_while_room_is_made_and_go_on_after_it(pool: Pool) -> None:
    pool.used_bytes, pool.each = int(pool.size_bytes * 0.97), int(pool.size_bytes * 0.1)
    done = relieve(pool, Writers())
    assert (done.held, done.let_go) == (("shop_a",), ("shop_a",))
    assert len(done.dropped) == 2


def test_writers_stay_held_while_nothing_can_go(pool: Pool) -> None:
    pool.used_bytes = int(pool.size_bytes * 0.97)
    writers = Writers()
    done = relieve(pool, writers)
    assert (done.held, done.let_go, len(done.dropped)) == (("shop_a",), (), 3)
    assert writers.held == ["shop_a"]
    pool.used_bytes = 0
    assert relieve(pool, writers).let_go == ("shop_a",)
