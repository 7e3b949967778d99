"""What only drills do on their host."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

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
