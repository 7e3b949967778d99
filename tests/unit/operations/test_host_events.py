"""Which of Docker's events mean something to an automation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stampede.blocks.docker.events import Event
from stampede.deployments import host_events
from stampede.deployments.host_events import InstanceEvents

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    told: list[tuple[Any, ...]] = []

    def emit(*words: Any) -> None:
        told.append(words)

    monkeypatch.setattr(host_events, "emit", emit)
    return told


def told_by(*actions: str, exit_code: int | None = None, later_s: float = 0) -> list[str]:
    events = InstanceEvents("h1")
    last = len(actions) - 1
    return [
        events.notice(
            Event(
                action=action,
                container="c" * 64,
                stack="shop",
                service="web",
                slot=2,
                exit_code=exit_code if action == "die" else None,
                at=NOW + timedelta(seconds=later_s if number == last else 0),
            )
        )
        for number, action in enumerate(actions)
    ]


def test_a_crash_is_told_and_names_the_instance(emitted: list[tuple[Any, ...]]) -> None:
    assert told_by("start", "die", exit_code=137) == ["", "instance.died"]
    ((event, stack, payload, instance),) = emitted
    assert (event, stack, instance) == ("instance.died", "shop", "shop-web-2")
    assert (payload["host"], payload["exit_code"], payload["service"]) == ("h1", 137, "web")


@pytest.mark.parametrize("actions", [("kill", "die", "stop"), ("kill", "die", "destroy"), ("create", "start")])
def test_what_somebody_asked_for_is_not_told(emitted: list[tuple[Any, ...]], actions: tuple[str, ...]) -> None:
    assert told_by(*actions, exit_code=143) == ["", "", ""][: len(actions)]
    assert emitted == []


@pytest.mark.usefixtures("emitted")
def test_a_signal_does_not_excuse_what_happens_after_the_next_start_or_much_later() -> None:
    assert told_by("kill", "die", "start", "die", exit_code=1)[-1] == "instance.died"
    assert told_by("kill", "die", exit_code=1, later_s=3600)[-1] == "instance.died"


@pytest.mark.usefixtures("emitted")
def test_an_end_without_error_is_another_event_than_a_death() -> None:
    assert told_by("die", exit_code=0) == ["instance.ended"]


@pytest.mark.usefixtures("emitted")
def test_health_is_told_when_it_is_lost_and_when_it_returns() -> None:
    healthy, unhealthy = "health_status: healthy", "health_status: unhealthy"
    assert told_by(healthy, unhealthy, healthy) == ["", "instance.unhealthy", "instance.recovered"]
