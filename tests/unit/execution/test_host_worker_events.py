"""What the worker tells the server of its task runs."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.events import Event
from prefect.events.clients import EventsClient, PrefectEventsClient
from prefect.events.schemas.events import Resource

from stampede.deployments import host_worker_events
from stampede.deployments.host_worker_events import LastStates


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """What reached the connection to the server, which is not there; held for a tenth of the usual time."""
    events: list[Event] = []

    async def send(_: PrefectEventsClient, event: Event) -> None:
        events.append(event)

    monkeypatch.setattr(PrefectEventsClient, "_emit", send)
    for context in ("__aenter__", "__aexit__"):
        monkeypatch.setattr(PrefectEventsClient, context, getattr(EventsClient, context))
    monkeypatch.setattr(host_worker_events, "HOLD_S", 0.2)
    monkeypatch.setattr(host_worker_events, "TICK_S", 0.02)
    return events


def client() -> LastStates:
    return LastStates(api_url="http://127.0.0.1:9/api")


def state(task_run: str, kind: str, follows: UUID | None = None) -> Event:
    payload: dict[str, Any] = {"validated_state": {"type": kind}}
    resource = Resource({"prefect.resource.id": f"prefect.task-run.{task_run}"})
    return Event(
        event=f"prefect.task-run.{kind.title()}", resource=resource, payload=payload, id=uuid4(), follows=follows
    )


async def test_a_step_that_is_soon_over_is_told_of_once_and_follows_nothing(sent: list[Event]) -> None:
    async with client() as ours:
        pending = state("a", "PENDING")
        running = state("a", "RUNNING", pending.id)
        for event in (pending, running, state("a", "COMPLETED", running.id)):
            await ours.emit(event)
        await asyncio.sleep(0.1)
        assert [(event.event, event.follows) for event in sent] == [("prefect.task-run.Completed", None)]


async def test_a_step_that_lasts_is_told_of_as_running_and_its_end_follows_that(sent: list[Event]) -> None:
    async with client() as ours:
        pending = state("a", "PENDING")
        running = state("a", "RUNNING", pending.id)
        await ours.emit(pending)
        await ours.emit(running)
        await asyncio.sleep(0.4)
        assert [event.id for event in sent] == [running.id]
        await ours.emit(state("a", "FAILED", running.id))
        await asyncio.sleep(0.1)
        assert [(event.event, event.follows) for event in sent[1:]] == [("prefect.task-run.Failed", running.id)]


async def test_steps_do_not_overtake_each_others_ends_and_other_events_do_not_wait(sent: list[Event]) -> None:
    async with client() as ours:
        await ours.emit(state("a", "COMPLETED"))
        await ours.emit(state("b", "COMPLETED"))
        deployed = Event(event="stampede.deployed", resource=Resource({"prefect.resource.id": "stampede.stack.shop"}))
        await ours.emit(deployed)
        assert sent == [deployed]
        await asyncio.sleep(0.1)
        assert [event.resource.id[-1] for event in sent[1:]] == ["a", "b"]


async def test_what_is_held_is_sent_when_the_worker_ends(sent: list[Event]) -> None:
    async with client() as ours:
        await ours.emit(state("a", "RUNNING"))
    assert [event.event for event in sent] == ["prefect.task-run.Running"]


async def test_a_server_that_is_away_does_not_keep_later_states_from_being_sent(
    sent: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send_all_but_a(_: PrefectEventsClient, event: Event) -> None:
        if event.resource.id.endswith("a"):
            raise ConnectionError("the server is away")
        sent.append(event)

    monkeypatch.setattr(PrefectEventsClient, "_emit", send_all_but_a)
    async with client() as ours:
        await ours.emit(state("a", "COMPLETED"))
        await ours.emit(state("b", "COMPLETED"))
        await asyncio.sleep(0.1)
        assert [event.resource.id[-1] for event in sent] == ["b"]
