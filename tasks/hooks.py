"""Commands of a stack file that run in its containers around snapshots."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import get_run_logger, task

from stampede.errors import DaemonError
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread

HOOK_LIMIT_S = 60.0
HINTS = {
    "before_snapshot": "no snapshot was taken; mend or leave out the command, and `stampede up --skip-snapshot`",
    "after_snapshot": "the snapshot was taken; see that the service works, then mend the command",
}
_SAID = 500


@task(task_run_name="{hook} of {label}", **RETRY_TRANSIENT)
async def run_hook(hook: str, label: str, container: str, command: Sequence[str]) -> None:
    """Afterwards the command has run in the container and ended with 0.

    Raises: DaemonError with the end of its output when it did not, or not within a minute.
    """
    code, said = await in_thread(this_host().docker.containers.exec_probe, container, command, HOOK_LIMIT_S)
    if code:
        raise DaemonError(
            f"x-hooks.{hook} of {label} ended with {code}: {said.strip()[-_SAID:]}",
            HINTS[hook],
        )
    get_run_logger().info("%s of %s has run", hook, label)
