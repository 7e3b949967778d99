"""Events of the Prefect server wake the worker: a run was scheduled on one of its queues, or is to be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.logging import get_logger

SCHEDULED = ("prefect.flow-run.Scheduled", "prefect.flow-run.AwaitingRetry")
CANCELLING = "prefect.flow-run.Cancelling"
RECONNECT_S = 0.5

_log = get_logger("stampede.worker")


async def watch_queues(
    client: PrefectClient,
    pool: str,
    queues: Sequence[str],
    on_scheduled: Callable[[], None],
    on_cancelling: Callable[[UUID], None],
    on_connected: Callable[[], Awaitable[None]],
) -> None:
    """Listen for ever, reconnecting when the server was away; `on_connected` catches up with what was missed."""
    while True:
        try:
            found = [await client.read_work_queue_by_name(queue, work_pool_name=pool) for queue in queues]
            wanted = EventFilter(
                event=EventNameFilter(name=[*SCHEDULED, CANCELLING]),
                any_resource=EventAnyResourceFilter(id=[f"prefect.work-queue.{queue.id}" for queue in found]),
            )
            async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as events:
                await on_connected()
                async for event in events:
                    if event.event == CANCELLING:
                        on_cancelling(UUID(event.resource.id.rpartition(".")[2]))
                    else:
                        on_scheduled()
        except Exception as error:
            # A websocket ends in many ways, and the poll is the net: listening again is all there is to do.
            _log.debug("not listening to events: %r", error)
        await asyncio.sleep(RECONNECT_S)
