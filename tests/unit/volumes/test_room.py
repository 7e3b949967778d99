"""What a pool may promise, when it is too full, and what is done about it then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampede.errors import BadInput, Refused
from stampede.volumes.labels import KEEP
from stampede.volumes.models import PoolSettings, PoolStatus, Snapshot
from stampede.volumes.relief import relief
from stampede.volumes.room import GIB, MIB, human, pool_size, pressure, refuse_too_much, room, volume_size
from stampede.volumes.stall import predicted_stall_s, refuse_long_stall

DEFAULT = PoolSettings()


def status(fill: float) -> PoolStatus:
    used = int(100 * GIB * fill)
    return PoolStatus(
        host="h1",
        driver="xfs",
        path="/pool",
        dedicated=True,
        size_bytes=100 * GIB,
        used_bytes=used,
        reserved_bytes=0,
        room_bytes=0,
        volumes=1,
        snapshots=0,
        pressure=pressure(used, 100 * GIB),
    )


def snapshot(volume: str, hour: int, **labels: str) -> Snapshot:
    return Snapshot(
        id=f"20261126T{hour:02d}0000.000Z",
        volume=volume,
        stack="shop",
        created=datetime(2026, 11, 26, hour, tzinfo=UTC),
        size_bytes=GIB,
        consistency="power-cut",
        together=(volume,),
        labels=labels,
    )


def test_a_pool_has_half_of_what_is_free_unless_told_otherwise() -> None:
    assert pool_size(100 * GIB + 1, DEFAULT) == 50 * GIB
    assert pool_size(100 * GIB, PoolSettings(size_bytes=80 * GIB + 5)) == 80 * GIB


@pytest.mark.parametrize(
    ("free", "wanted"), [(100 * MIB, None), (100 * GIB, 10 * MIB), (100 * GIB, 95 * GIB), (0, None), (GIB, 0)]
)
def test_a_pool_that_is_too_small_or_does_not_fit_is_refused(free: int, wanted: int | None) -> None:
    with pytest.raises(BadInput):
        pool_size(free, PoolSettings(size_bytes=wanted))


@given(st.integers(16 * MIB, 64 * GIB))
def test_a_volume_has_whole_mebibytes_and_never_less_than_asked_for(wanted: int) -> None:
    size = volume_size(wanted)
    assert size % MIB == 0
    assert wanted <= size < wanted + MIB


@given(st.lists(st.integers(1, 64).map(lambda mib: mib * 16 * MIB)), st.floats(0, 1))
def test_sizes_and_reserves_never_outgrow_a_pool_that_is_not_overcommitted(wanted: list[int], share: float) -> None:
    pool, settings, made = 4 * GIB, PoolSettings(snapshot_reserve=share), list[int]()
    for size in wanted:
        try:
            refuse_too_much(size, "it", pool, made, settings)
        except Refused:
            assert sum(made) * (1 + share) + size * (1 + share) > pool - len(wanted)
        else:
            made.append(size)
    assert sum(made) * (1 + share) <= pool + len(made)
    assert room(pool, made, settings) >= 0


def test_an_overcommitted_pool_promises_its_multiple() -> None:
    twice = PoolSettings(overcommit=2, snapshot_reserve=0)
    assert room(4 * GIB, [4 * GIB], twice) == 4 * GIB
    refuse_too_much(4 * GIB, "it", 4 * GIB, [4 * GIB], twice)
    with pytest.raises(Refused, match="not promised"):
        refuse_too_much(4 * GIB + MIB, "it", 4 * GIB, [4 * GIB], twice)


def test_watermarks() -> None:
    assert [status(fill).pressure for fill in (0, 0.84, 0.85, 0.94, 0.95, 1)] == [
        "none",
        "none",
        "soft",
        "soft",
        "hard",
        "hard",
    ]
    assert pressure(0, 0) == "hard"


def test_a_pool_with_room_asks_for_nothing() -> None:
    assert relief(status(0.8), [snapshot("a", 1), snapshot("a", 2)]).drop == ()


def test_the_oldest_snapshots_go_first_but_never_the_newest_of_a_volume_or_one_to_be_kept() -> None:
    known = [snapshot("a", 3), snapshot("b", 1), snapshot("a", 2), snapshot("b", 4), snapshot("a", 1, **{KEEP: "x"})]
    asked = relief(status(0.9), known)
    assert [(one.volume, one.snapshot[9:11]) for one in asked.drop] == [("b", "01"), ("a", "02")]
    assert "90%" in asked.drop[0].reason
    assert asked.stop_writers is False


def test_writers_are_stopped_at_the_hard_watermark() -> None:
    asked = relief(status(0.96), [])
    assert (asked.stop_writers, asked.drop) == (True, ())
    assert "96%" in asked.reason


def test_a_stall_is_predicted_from_extents_and_kept_within_its_budget() -> None:
    assert predicted_stall_s(100_000) == pytest.approx(1.7)
    refuse_long_stall("shop_db", 58_000)
    with pytest.raises(Refused, match=r"about 1\.7 s \(100000 extents\)"):
        refuse_long_stall("shop_db", 100_000)
    refuse_long_stall("shop_db", 100_000, budget_s=2)


def test_sizes_for_people() -> None:
    assert [human(size) for size in (1, 1536, 3 * GIB, 5 << 40)] == ["1 B", "1.5 KiB", "3.0 GiB", "5.0 TiB"]
