"""The host report: what this host runs, as one document that only its worker writes and that `ps` reads.

It is rewritten when Docker tells of a change, and at a slow beat, so that its age says whether the host is alive.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

from prefect.client.orchestration import get_client
from prefect.logging import get_logger

from stampede.blocks.documents import Documents
from stampede.errors import Transient
from stampede.tasks.this_host import ThisHost, this_host
from stampede.tasks.threads import in_thread

BEAT_S = 30.0
GATHER_S = 0.3
_log = get_logger("stampede.report")


async def report_host() -> None:
    """Keep the report of this host true for as long as the worker lives. Never returns."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_listen, args=(this_host(), loop, changed), name="docker-events", daemon=True).start()
    while True:
        await write_report()
        try:
            await asyncio.wait_for(changed.wait(), BEAT_S)
        except TimeoutError:
            continue
        await asyncio.sleep(GATHER_S)  # a deploy changes many things at once: one report for all of them
        changed.clear()


async def write_report() -> None:
    """Afterwards the document of this host says what Docker says now."""
    host = this_host()
    found = await in_thread(host.docker.found, host.name, host.cluster, detail=True)
    report = found.model_copy(update={"foreign": ()}).model_dump(mode="json")
    async with get_client() as client:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        await Documents(client).write_report(host.name, at, report)


def _listen(host: ThisHost, loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    """Set `changed` for every event of a container of ours, in an own thread; waits for dockerd when it is away."""
    pause = threading.Event()
    while True:
        try:
            for _ in host.docker.events(host.cluster):
                loop.call_soon_threadsafe(changed.set)
        except Transient as error:
            _log.info("waiting for Docker: %s", error.message)
        except RuntimeError:  # the loop is closed: the worker has ended
            return
        pause.wait(2.0)
