"""What the worker tells the server of its tasks: only what is still true by the time that it is sent.

Prefect's engine sends an event for each state of a task run. Four services of the server store, forward and test each
of them, which takes the processors away from what is being deployed. A step that is over within HOLD_S needs only its
last state, which carries all that its task run records.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any

from prefect.events import Event
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker
from prefect.logging import get_logger

_log = get_logger("stampede.worker")

HOLD_S = 2.0  # a step that takes longer is shown as running
TICK_S = 0.25

_FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
_STATES_OF_TASKS = "prefect.task-run."


def send_last_states_only() -> None:
    """Afterwards what runs in this process sends its events through LastStates."""
    EventsWorker.set_client_override(LastStates)


class LastStates(PrefectEventsClient):
    """Sends the states of a task run when they are final or have lasted HOLD_S; those that were overtaken, never.

    Other events are sent at once.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._held: dict[str, tuple[float, Event]] = {}
        self._sending = asyncio.Lock()
        self._ticking: asyncio.Task[None] | None = None

    async def _emit(self, event: Event) -> None:
        if not event.event.startswith(_STATES_OF_TASKS):
            return await self._send(event)
        task_run = event.resource.id
        _, overtaken = self._held.pop(task_run, (0.0, None))
        if overtaken is not None:
            # The server holds back an event that follows one which never comes.
            event = event.model_copy(update={"follows": overtaken.follows})
        self._held[task_run] = (time.monotonic(), event)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._send_in_time())
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        for _, event in list(self._held.values()):
            await self._send(event)
        await super().__aexit__(kind, error, trace)

    async def _send_in_time(self) -> None:
        while self._held:
            await asyncio.sleep(TICK_S)
            for task_run, (since, event) in list(self._held.items()):
                over = event.payload["validated_state"]["type"] in _FINAL
                if over or time.monotonic() - since >= HOLD_S:
                    await self._send_held(task_run, event)

    async def _send_held(self, task_run: str, event: Event) -> None:
        if self._held[task_run][1] is not event:  # overtaken while another one was sent
            return
        del self._held[task_run]
        try:
            await self._send(event)
        except Exception as error:
            # The server is away. The client keeps the event, and sends it with the next one that gets through.
            _log.warning("an event waits for the server: %r", error)

    async def _send(self, event: Event) -> None:
        async with self._sending:
            await super()._emit(event)
