"""The pool of this host does not fill up under its writers: what docs/volumes.md promises is done here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prefect.logging import get_logger

from stampede.blocks.docker.client import Client
from stampede.blocks.volumes.docker_writers import DockerWriters
from stampede.blocks.volumes.guard import Relieved, relieve
from stampede.errors import StampedeError
from stampede.tasks.events import emit_of_host
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread
from stampede.volumes.models import Pressure

LOOK_EVERY_S = 2.0
_URGENCY: dict[Pressure, int] = {"none": 0, "soft": 1, "hard": 2}
_log = get_logger("stampede.pool")


async def watch_pool() -> None:
    """Look at the pool of this host, if it has one, for as long as the worker lives. Never returns."""
    host = this_host()
    pool, writers = host.pool, DockerWriters(host.places, Client())
    watch = PoolWatch(lambda: relieve(pool, writers), host.name)
    while True:
        await in_thread(watch.look)
        await asyncio.sleep(LOOK_EVERY_S)


class PoolWatch:
    """Relieves a pool, and tells of it when it began to be too full, when something was done, and when it is over."""

    def __init__(self, relieve: Callable[[], Relieved], host: str) -> None:
        self._relieve, self._host = relieve, host
        self._before: Pressure = "none"
        self._trouble = ""

    def look(self) -> str:
        """Relieve once; the event that was emitted, or "". What does not work is in the log once, and tried again."""
        try:
            done = self._relieve()
        except (StampedeError, OSError) as error:
            if str(error) != self._trouble:
                _log.warning("the pool of %s is not looked after: %s", self._host, error)
            self._trouble = str(error)
            return ""
        self._trouble = ""
        event = self._meaning(done)
        self._before = done.pressure
        if event:
            said = _said(done)
            _log.warning("%s: %s", event, said)
            emit_of_host(event, self._host, said)
        return event

    def _meaning(self, done: Relieved) -> str:
        rise = _URGENCY[done.pressure] - _URGENCY[self._before]
        if rise > 0 or done.dropped or done.held:
            return "pool.full"
        return "pool.relieved" if rise < 0 or done.let_go else ""


def _said(done: Relieved) -> dict[str, object]:
    return {
        "pressure": done.pressure,
        "reason": done.reason,
        "dropped": [f"{one.volume}@{one.snapshot}" for one in done.dropped],
        "paused": list(done.held),
        "resumed": list(done.let_go),
    }
