"""Events of Stampede for Prefect automations: changes of stacks that ended, instances that died, pools that filled up.

The resource is the stack, `stampede.stack.<name>`, the host, `stampede.host.<name>`, or the volume; the flow run, its
deployment and the like are related to it. They are listed in docs/events.md.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import httpx
from prefect.events import emit_event
from prefect.logging import get_logger
from prefect.runtime import flow_run

from stampede.errors import StampedeError
from stampede.planning.changes import Outcome
from stampede.tasks.artifacts import publish_failure
from stampede.tasks.last_backups import forget_backups
from stampede.tasks.last_changes import LastChange, forget_changes, note_change
from stampede.tasks.this_host import this_host

PREFIX = "stampede."
MOST_OF_A_MESSAGE = 500


class ChangeRequest(Protocol):
    """What an announcement says of a request."""

    @property
    def stack(self) -> str: ...

    @property
    def by(self) -> str: ...

    @property
    def why(self) -> str: ...

    @property
    def dry_run(self) -> bool: ...


A = TypeVar("A", bound=ChangeRequest)
Verb = Callable[[A], Awaitable[Outcome]]


def emit(event: str, stack: str, payload: dict[str, Any], instance: str = "") -> None:
    """Tell Prefect of something that happened to a stack, or to one of its instances. Never waits, never fails."""
    related = [{"prefect.resource.id": f"stampede.instance.{instance}", "prefect.resource.role": "instance"}]
    emit_event(
        PREFIX + event,
        resource={"prefect.resource.id": f"stampede.stack.{stack}", "prefect.resource.name": stack},
        related=related if instance else None,
        payload=payload,
    )


def emit_of_volume(event: str, stack: str, key: str, payload: dict[str, Any]) -> None:
    """Tell Prefect of something that happened to a volume (its key in the file). Never waits, never fails."""
    resource = {
        "prefect.resource.id": f"stampede.volume.{stack}.{key}",
        "prefect.resource.name": f"{stack}/{key}",
    }
    emit_event(PREFIX + event, resource=resource, payload={"stack": stack, "volume": key, **payload})


def emit_of_host(event: str, host: str, payload: dict[str, Any]) -> None:
    """Tell Prefect of something that happened to a host. Never waits, never fails."""
    resource = {"prefect.resource.id": f"stampede.host.{host}", "prefect.resource.name": host}
    emit_event(PREFIX + event, resource=resource, payload={"host": host, **payload})


def announced(verb: Verb[A]) -> Callable[[A], Coroutine[Any, Any, Outcome]]:
    """A verb whose end is an event, `stampede.<verb>.finished|failed|cancelled`, and is noted for metrics.

    The verb's name is the first word of the flow's: `deploy-stack` is `deploy`. A dry run is nobody's business.
    """

    @functools.wraps(verb)
    async def announcing(request: A) -> Outcome:
        if request.dry_run:
            return await verb(request)
        async with announcement(request.stack, by=request.by, why=request.why) as payload:
            outcome = await verb(request)
            payload |= _summary(outcome)
        return outcome

    return announcing


@asynccontextmanager
async def announcement(stack: str, *, by: str = "", why: str = "") -> AsyncIterator[dict[str, Any]]:
    """How what happens inside ends is an event, `stampede.<verb>.finished|failed|cancelled`, and noted for metrics.

    The verb is the first word of the flow's name. What is put into the mapping is said when it ends well.
    """
    began, payload = time.time(), dict[str, Any]()
    about = {"stack": stack, "by": by, "why": why}
    try:
        yield payload
    except asyncio.CancelledError:
        _announce("cancelled", began, about)
        raise
    except Exception as error:
        _announce("failed", began, about | what_failed(error))
        await _show(stack, error)
        raise
    _announce("finished", began, about | payload)


def what_failed(error: Exception) -> dict[str, Any]:
    """What an event says of the error that ended something: its class, its message, and what to do about it."""
    message, hint = (error.message, error.hint) if isinstance(error, StampedeError) else (repr(error), "")
    return {
        "error": type(error).__name__,
        "message": message[:MOST_OF_A_MESSAGE],
        "hint": hint[:MOST_OF_A_MESSAGE],
    }


def _announce(end: str, began: float, payload: dict[str, Any]) -> None:
    verb, stack = _verb(), payload["stack"]
    duration_s = round(time.time() - began, 3)
    emit(f"{verb}.{end}", stack, {**payload, "duration_s": duration_s})
    succeeded = end == "finished"
    change = LastChange(stack=stack, verb=verb, ended=time.time(), succeeded=succeeded, duration_s=duration_s)
    places = this_host().places
    try:
        note_change(places, change)
        if succeeded and verb in ("remove", "eject"):
            forget_changes(places, stack)
            forget_backups(places, stack)
    except OSError as error:  # a full disk must not hide how the change itself ended
        get_logger("stampede.events").warning("metrics do not know how %s of %s went: %s", verb, stack, error)


async def _show(stack: str, error: Exception) -> None:
    try:
        await publish_failure(stack, _verb(), error)
    except httpx.HTTPError as away:  # a server that is away must not hide how the change itself ended
        get_logger("stampede.events").warning("the run of %s does not show why it failed: %s", stack, away)


def _verb() -> str:
    return str(flow_run.flow_name or "change").partition("-")[0]


def _summary(outcome: Outcome) -> dict[str, Any]:
    return {
        "revision": outcome.revision,
        "changed": len(outcome.changes) - len(outcome.removed),
        "unchanged": len(outcome.unchanged),
        "removed": len(outcome.removed),
        "warnings": len(outcome.warnings),
    }
