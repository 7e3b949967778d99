"""On a host: a slot that is being replaced stop-first, or restarted, when somebody cancels that.

Between the end of the old instance and the proof of the new one nothing serves. A cancelled change must not leave it
so: what ran before runs again, unless a newer change has taken over meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from prefect import get_run_logger

from stampede.errors import StampedeError
from stampede.planning.changes import Old, Roll
from stampede.planning.instances import Instance
from stampede.tasks.containers import find_container, remove_container, start_container, stop_container
from stampede.tasks.health import wait_until_healthy
from stampede.tasks.listening import put_in_service, take_out_of_service
from stampede.tasks.mandate import Mandate
from stampede.tasks.threads import to_the_end

_UP = ("running", "restarting")

Step = Coroutine[Any, Any, None]


async def or_take_back(label: str, step: Step, back: Callable[[], Step]) -> None:
    """`step` is done. If it is cancelled, `back` is done to its end, however often that is cancelled, before it raises.

    What fails on the way back is told in the log only, and the next change of the stack sees to it.
    """
    try:
        await step
    except asyncio.CancelledError:
        await to_the_end(_told(label, back()))
        raise


async def serve_again(mandate: Mandate, instance: Instance, roll: Roll) -> None:
    """Afterwards the instances that ran in this slot before it was replaced serve again, and the new one does not run.

    One that had the new one's name is gone by the time it can be missed: if that was all, the new one is left to run.
    A job is left as it is, because nobody is served by one. Raises: Fenced, Unhealthy, DaemonError.
    """
    mandate.check()
    before = [old for old in roll.old if old.state in _UP]
    there = [old for old in before if await find_container(old.id)]
    for old in before:
        if old not in there:
            get_run_logger().warning("%s is gone, so %s cannot go back to it", old.name, roll.label)
    if not there or roll.until == "completed":
        return
    await _end_new(mandate, instance, roll)
    for old in there:
        await start_again(mandate, instance, old)


async def start_again(mandate: Mandate, instance: Instance, old: Old) -> None:
    """Afterwards this container, which ran before, runs and serves. Raises: Fenced, Unhealthy, DaemonError."""
    container = await start_container(mandate, old)
    get_run_logger().info("%s runs again", old.name)
    await wait_until_healthy(instance, container, 0.0)
    await put_in_service(mandate, instance, container)


async def _end_new(mandate: Mandate, instance: Instance, roll: Roll) -> None:
    """What this change made is gone, what it started has stopped; what ran before is left alone."""
    new = roll.kept
    if new is None:
        found = await find_container(instance.name)
        if found is None or found.run != mandate.run or found.id in [old.id for old in roll.old]:
            return
        new = Old(id=found.id, name=found.name)
    elif new.state in _UP:
        return
    await take_out_of_service(mandate, roll.service, new.name)
    await stop_container(mandate, new)
    if roll.kept is None:
        await remove_container(mandate, new, with_anonymous_volumes=False)


async def _told(label: str, back: Step) -> None:
    log = get_run_logger()
    log.info("%s: cancelled, going back to what ran before", label)
    try:
        await back
    except StampedeError as error:
        log.warning("%s could not go back to what ran before: %s", label, error)
