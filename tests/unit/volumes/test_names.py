"""Names of volumes and ids of snapshots."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampede.errors import BadInput
from stampede.volumes.names import check_snapshot_id, check_volume_name, order_of, snapshot_id

NOW = datetime(2026, 11, 26, 19, 22, 0, 123_900, tzinfo=UTC)


def test_a_snapshot_is_named_for_its_moment_in_utc() -> None:
    assert snapshot_id(NOW) == "20261126T192200.123Z"
    assert snapshot_id(NOW.astimezone(timezone(timedelta(hours=2)))) == "20261126T192200.123Z"


def test_snapshots_of_the_same_millisecond_are_counted_and_sort_by_the_count() -> None:
    taken: list[str] = []
    for _ in range(12):
        taken.append(snapshot_id(NOW, taken))
    assert taken[1] == "20261126T192200.123Z-2"
    assert sorted(taken, key=order_of) == taken
    assert [check_snapshot_id(one) for one in taken] == taken


@given(st.lists(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)), min_size=1))
def test_ids_sort_as_their_moments(moments: list[datetime]) -> None:
    taken: list[str] = []
    for moment in sorted(one.replace(tzinfo=UTC) for one in moments):
        taken.append(snapshot_id(moment, taken))
    assert sorted(taken, key=order_of) == taken


@given(st.text())
def test_a_name_that_is_accepted_is_one_harmless_directory(name: str) -> None:
    with suppress(BadInput):
        assert check_volume_name(name).isascii()
        assert not set(name) & {"/", "\0", "\n"}
        assert name[0] != "."


@pytest.mark.parametrize("text", ["", "..", "20261126T192200.123Z/..", "20261126T192200.123Z\n", "20261126T192200Z"])
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        check_snapshot_id(text)
