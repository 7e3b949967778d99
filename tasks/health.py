"""Waiting until an instance can be trusted with traffic."""

from __future__ import annotations

import asyncio

from prefect import task

from stampede.balancer.ports import is_balanced
from stampede.blocks.docker import wait_until_healthy as wait_in_thread
from stampede.errors import StampedeError
from stampede.planning.instances import Instance
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread, left_when_cancelled

QUICK_S = 2.0


async def wait_until_healthy(instance: Instance, container: str, settle_s: float) -> None:
    """Returns once its health check passes; without one, once it has run for `settle_s` and accepts connections.

    One that has finished with exit code 0 is healthy too. A wait that is soon over is no task of its own: telling the
    server of one costs as much as starting a container. One that takes longer, or fails, is seen as a task.
    Raises: Unhealthy with the end of its output.
    """
    try:
        async with asyncio.timeout(settle_s + QUICK_S):
            await _wait(instance, container, settle_s)
    except (TimeoutError, StampedeError):
        await watch_until_healthy(instance, container, settle_s)


@task(task_run_name="wait until {instance.name} is healthy", **RETRY_TRANSIENT)
async def watch_until_healthy(instance: Instance, container: str, settle_s: float) -> None:
    """The same, as a task from the start."""
    await _wait(instance, container, settle_s)


async def _wait(instance: Instance, container: str, settle_s: float) -> None:
    docker = this_host().docker
    ports = {port.target for port in instance.spec.ports if is_balanced(instance.spec, port)}
    found = await in_thread(docker.containers.look, container) if ports else None
    addresses = [a for a in found.addresses.values() if a][:1] if found else []
    await left_when_cancelled(
        lambda cancelled: wait_in_thread(
            docker,
            container,
            instance.spec,
            monitor_s=settle_s,
            tcp=[(address, port) for address in addresses for port in sorted(ports)],
            cancelled=cancelled,
        )
    )
