"""The host report: what this host runs, as one document that only its worker writes and that `ps` reads.

It is rewritten when Docker tells of a change, and at a slow beat, so that its age says whether the host is alive. While
the API or Docker is away, looking goes on: metrics and the next report depend on it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from prefect.client.orchestration import get_client
from prefect.logging import get_logger

from stampede.blocks.documents import Documents
from stampede.blocks.host_files import refill
from stampede.deployments.balanced_health import tell_balancer
from stampede.deployments.host_events import InstanceEvents
from stampede.deployments.resuming import remember, start_what_ran
from stampede.errors import StampedeError, Transient
from stampede.planning.found import FoundHost, FoundInstance
from stampede.tasks.this_host import ThisHost, this_host
from stampede.tasks.threads import in_thread

BEAT_S = 30.0
GATHER_S = 0.3
REST_RATIO = 4
LISTEN_AGAIN_S = 2.0
_NOT_REPORTED: dict[str, tuple[()]] = {"foreign": (), "other_networks": (), "other_volumes": ()}
_log = get_logger("stampede.report")


@dataclass(frozen=True)
class Sight:
    """What this host looked like at `at` (seconds since 1970); `docker_answers` says whether it was seen since."""

    found: FoundHost
    at: float
    docker_answers: bool = True


class _Latest:
    sight: Sight | None = None


def latest_sight() -> Sight | None:
    """What the worker of this process last saw of its host; None before it has looked."""
    return _Latest.sight


async def report_host() -> None:
    """Keep the report of this host true for as long as the worker lives. Never returns."""
    changed, ended = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        loop.call_soon_threadsafe(changed.set)

    threading.Thread(target=_listen, args=(this_host(), tell, ended), name="docker-events", daemon=True).start()
    try:
        while True:
            changed.clear()
            began = time.monotonic()
            await _report_or_say_why_not()
            took_s = time.monotonic() - began
            try:
                await asyncio.wait_for(changed.wait(), BEAT_S)
            except TimeoutError:
                continue
            # A deploy changes many things at once: one report for all of them, and time left for the deploy itself.
            await asyncio.sleep(max(GATHER_S, REST_RATIO * took_s))
    finally:
        ended.set()


async def write_report() -> None:
    """Afterwards the document of this host says what Docker says now. Raises: DaemonUnavailable, httpx.HTTPError."""
    host = this_host()
    try:
        found = await in_thread(host.docker.found, host.name, host.cluster, detail=True)
    except Transient:
        if _Latest.sight is not None:
            _Latest.sight = Sight(_Latest.sight.found, _Latest.sight.at, docker_answers=False)
        raise
    instances = await in_thread(_with_published, host, found.instances)
    ours = found.model_copy(update={**_NOT_REPORTED, "instances": instances})
    if _Latest.sight is None or not _Latest.sight.docker_answers:
        await in_thread(_put_files_back, host)
        for name in await in_thread(start_what_ran, host, ours.instances):
            _log.info("%s runs again: it ran when Docker went down", name)
    await in_thread(remember, host.places, ours.instances, time.time())
    _Latest.sight = Sight(ours, time.time())
    await in_thread(_tell_balancer, host, instances)
    async with get_client() as client:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        await Documents(client).write_report(host.name, at, ours.model_dump(mode="json"))


def _put_files_back(host: ThisHost) -> None:
    """Where no boot unit did it before Docker started. A copy that is damaged must not silence the whole host."""
    try:
        refill(host.places)
    except StampedeError as error:
        _log.warning("%s", error)


def _tell_balancer(host: ThisHost, instances: Sequence[FoundInstance]) -> None:
    try:
        for name in tell_balancer(host, instances):
            _log.info("the balancer has heard how %s is", name)
    except Transient as error:
        _log.info("the balancer does not hear how instances are: %s", error.message)


def _with_published(host: ThisHost, instances: Sequence[FoundInstance]) -> tuple[FoundInstance, ...]:
    """The same instances, with where the balancer publishes their services, too."""
    balanced = {stack: host.haproxy.desired(stack) for stack in {instance.stack for instance in instances}}
    return tuple(
        instance.model_copy(
            update={
                "published": (
                    *(
                        f"{listener.bind}->{listener.target}"
                        for listener in balanced[instance.stack].listeners_of(instance.service)
                    ),
                    *instance.published,
                )
            }
        )
        for instance in instances
    )


async def _report_or_say_why_not() -> None:
    try:
        await write_report()
    except Transient as error:
        _log.info("no report: %s", error.message)
    except httpx.HTTPError as error:
        _log.info("no report, the API does not take it: %r", error)


def _listen(host: ThisHost, tell: Callable[[], None], ended: threading.Event) -> None:
    """Call `tell` for every event of a container of ours, in an own thread; waits for dockerd when it is away."""
    instances = InstanceEvents(host.name)
    while not ended.is_set():
        try:
            for event in host.docker.events(host.cluster):
                if ended.is_set():
                    return
                tell()
                instances.notice(event)
        except Transient as error:
            _log.info("waiting for Docker: %s", error.message)
        except RuntimeError:  # the loop is closed: the worker has ended
            return
        ended.wait(LISTEN_AGAIN_S)
