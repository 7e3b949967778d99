"""Waiting until an instance can be trusted with traffic."""

from __future__ import annotations

import threading

from prefect import task

from stampede.balancer.ports import is_balanced
from stampede.blocks.docker import wait_until_healthy as wait_in_thread
from stampede.planning.instances import Instance
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


@task(task_run_name="wait until {instance.name} is healthy", **RETRY_TRANSIENT)
async def wait_until_healthy(instance: Instance, container: str, settle_s: float) -> None:
    """Returns once its health check passes; without one, once it has run for `settle_s` and accepts connections.

    One that has finished with exit code 0 is healthy too. Raises: Unhealthy with the end of its output.
    """
    docker, cancelled = this_host().docker, threading.Event()
    found = await in_thread(docker.containers.look, container)
    addresses = [a for a in found.addresses.values() if a][:1] if found else []
    ports = {port.target for port in instance.spec.ports if is_balanced(instance.spec, port)}
    try:
        await in_thread(
            wait_in_thread,
            docker,
            container,
            instance.spec,
            monitor_s=settle_s,
            tcp=[(address, port) for address in addresses for port in sorted(ports)],
            cancelled=cancelled,
        )
    finally:
        cancelled.set()
