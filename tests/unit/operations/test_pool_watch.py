"""Which events a pool that fills up makes, without a pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stampede.blocks.volumes.guard import Relieved
from stampede.deployments import pool_watch
from stampede.errors import DaemonUnavailable
from stampede.volumes.relief import Dropped

DROPPED = Dropped(volume="shop_a", snapshot="20260101T000000Z", reason="full")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    payloads: list[dict[str, Any]] = []
    monkeypatch.setattr(pool_watch, "emit_of_host", lambda _event, _host, payload: payloads.append(payload))
    return payloads


def looks(*results: Relieved | Exception) -> list[str]:
    """The events of one look after the other."""
    coming: Iterator[Relieved | Exception] = iter(results)

    def relieve() -> Relieved:
        result = next(coming)
        if isinstance(result, Exception):
            raise result
        return result

    watch = pool_watch.PoolWatch(relieve, "h1")
    return [watch.look() for _ in results]


def test_a_pool_with_room_is_nobodys_business(told: list[dict[str, Any]]) -> None:
    assert looks(Relieved(), Relieved()) == ["", ""]
    assert told == []


def test_a_pool_that_stays_full_is_told_once_each_time_it_gets_worse(told: list[dict[str, Any]]) -> None:
    soft, hard = Relieved(pressure="soft"), Relieved(pressure="hard", held=("shop-web-1",))
    still = Relieved(pressure="hard")
    over = Relieved(pressure="none", let_go=("shop-web-1",))
    assert looks(soft, soft, hard, still, over, Relieved()) == [
        "pool.full",
        "",
        "pool.full",
        "",
        "pool.relieved",
        "",
    ]
    assert (told[1]["paused"], told[2]["resumed"]) == (["shop-web-1"], ["shop-web-1"])


def test_a_snapshot_never_goes_without_being_told(told: list[dict[str, Any]]) -> None:
    assert looks(Relieved(pressure="none", dropped=(DROPPED,)), Relieved()) == ["pool.full", ""]
    assert told[0]["dropped"] == ["shop_a@20260101T000000Z"]


def test_docker_being_away_does_not_end_the_watch(told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture) -> None:
    away = DaemonUnavailable("Docker does not answer")
    with caplog.at_level("WARNING", logger="prefect.stampede.pool"):
        assert looks(away, away, Relieved(pressure="soft")) == ["", "", "pool.full"]
    assert caplog.text.count("not looked after") == 1
    assert len(told) == 1
