"""Waiting for flow runs: events wake the waiter, a slow poll is the net, silent workers are noticed."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.logging import get_logger

from stampede.errors import HostUnreachable, ServerUnreachable, StampedeError
from stampede.results import FINAL_STATES

POLL_S = 5.0
SILENCE_S = 35.0
LONGEST_OUTAGE_S = 600.0
RECONNECT_S = 0.5
FINAL_EVENTS = ("Completed", "Failed", "Crashed", "Cancelled", "TimedOut", "RolledBack")

Run = dict[str, Any]
_log = get_logger("stampede.on_host")
_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, RunWatcher] = WeakKeyDictionary()


class RunWatcher:
    """One websocket per event loop, which wakes whoever waits for a run that has ended."""

    def __init__(self) -> None:
        self.reachable_since = time.time()
        self._unreachable_from: float | None = None
        self.listening = asyncio.Event()
        self._waiters: dict[str, asyncio.Event] = {}
        self._task = asyncio.create_task(self._listen())

    @classmethod
    def of_this_loop(cls) -> RunWatcher:
        loop = asyncio.get_running_loop()
        watcher = _watchers.get(loop)
        if watcher is None or watcher._task.done():
            watcher = _watchers[loop] = cls()
        return watcher

    async def wait_until_final(self, client: PrefectClient, run_id: str, pool: str, host: str) -> Run:
        """The run, once it is final. The server may be away for LONGEST_OUTAGE_S.

        Raises: HostUnreachable when the host's worker was silent for SILENCE_S while the API could be reached;
        ServerUnreachable.
        """
        woken = self._waiters.setdefault(run_id, asyncio.Event())
        since = time.time()
        quiet = False
        try:
            while True:
                try:
                    run = await _read_run(client, run_id)
                    if run["state_type"] in FINAL_STATES:
                        return run
                    if quiet:  # no event for a while: is anybody working on it?
                        await self._check_worker(client, pool, host, since)
                    self._unreachable_from = None
                except httpx.HTTPError as error:
                    await self._outlast(error)
                    continue
                try:
                    await asyncio.wait_for(woken.wait(), POLL_S)
                    woken.clear()
                    quiet = False
                except TimeoutError:
                    quiet = True
        finally:
            self._waiters.pop(run_id, None)

    async def _check_worker(self, client: PrefectClient, pool: str, host: str, since: float) -> None:
        last = await last_heartbeat(client, pool, host)
        silent_s = time.time() - max(last or 0.0, self.reachable_since, since)
        if silent_s > SILENCE_S:
            said = "has never reported" if last is None else f"has been silent for {silent_s:.0f} s"
            raise HostUnreachable(f"The worker of {host} {said}", "`stampede server status` on that host shows why")

    async def _outlast(self, error: httpx.HTTPError) -> None:
        """The run goes on without the API, so waiting does, too; a worker's silence counts from its return."""
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 404:
            raise StampedeError("The run was removed while it was waited for", "run it again") from error
        self.reachable_since = time.time()
        if self._unreachable_from is None:
            self._unreachable_from = self.reachable_since
        if self.reachable_since - self._unreachable_from > LONGEST_OUTAGE_S:
            raise ServerUnreachable(f"The Prefect API did not answer for {LONGEST_OUTAGE_S:.0f} s: {error}") from error
        await asyncio.sleep(1.0)

    async def _listen(self) -> None:
        wanted = EventFilter(event=EventNameFilter(name=[f"prefect.flow-run.{name}" for name in FINAL_EVENTS]))
        while True:
            try:
                async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as events:
                    self._connected()
                    async for event in events:
                        if (waiter := self._waiters.get(event.resource.id.rpartition(".")[2])) is not None:
                            waiter.set()
            except Exception as error:
                # A websocket ends in many ways, and the poll is the net: listening again is all there is to do.
                _log.debug("not listening to events: %r", error)
            self.listening.clear()
            await asyncio.sleep(RECONNECT_S)

    def _connected(self) -> None:
        self.reachable_since, self._unreachable_from = time.time(), None
        self.listening.set()
        for waiter in self._waiters.values():
            waiter.set()


async def last_heartbeat(client: PrefectClient, pool: str, host: str) -> float | None:
    """When the worker of this host last reported, in seconds since the epoch; None when it never did."""
    body = {"workers": {"operator": "and_"}}
    where = {"work_pool_name": pool}
    answer = await client.request("POST", "/work_pools/{work_pool_name}/workers/filter", path_params=where, json=body)
    times = [worker["last_heartbeat_time"] for worker in answer.json() if worker["name"] == host]
    return max((datetime.fromisoformat(time).timestamp() for time in times if time), default=None)


async def _read_run(client: PrefectClient, run_id: str) -> Run:
    return cast(Run, (await client.request("GET", "/flow_runs/{id}", path_params={"id": run_id})).json())
