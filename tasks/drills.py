"""What only drills do on their host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefect import get_run_logger, task

from stampede.blocks.ways_out import way_out
from stampede.errors import DaemonError
from stampede.planning.instances import Instance
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread

CHECK_LIMIT_S = 300.0
_SAID = 500


@task(task_run_name="check {instance.service}", **RETRY_TRANSIENT)
async def run_check(instance: Instance, command: Sequence[str]) -> None:
    """Afterwards the command has ended with 0 inside the instance. Raises: DaemonError with the end of its output."""
    code, said = await in_thread(this_host().docker.containers.exec_probe, instance.name, command, CHECK_LIMIT_S)
    if code:
        raise DaemonError(
            f"the check of {instance.service} ended with {code}: {said.strip()[-_SAID:]}",
            "the backup was restored and the service was healthy on it, but its data is not as the check wants it",
        )


@task(task_run_name="look for ways out of the drill", **RETRY_TRANSIENT)
async def look_for_ways_out(paths: Sequence[str]) -> Mapping[str, str]:
    """Which of these paths of this host a drill shall not see, and why."""
    looked = {path: await in_thread(way_out, path) for path in paths}
    found = {path: why for path, why in looked.items() if why}
    for path, why in found.items():
        get_run_logger().warning("the drill does not see %s: %s", path, why)
    return found


@task(task_run_name="read which volumes the drill has", **RETRY_TRANSIENT)
async def volumes_in_pool(stack: str) -> Sequence[str]:
    """Names of the stack's volumes in the pool of this host, those that Docker does not know included."""
    return [volume.name for volume in await in_thread(this_host().pool.volumes, stack)]
