"""How every task runs: what is tried again, and that nothing of what it handles is stored."""

from __future__ import annotations

from typing import Any, TypedDict

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from stampede.errors import Transient


async def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether the run that ended in `state` failed with `Transient`, so that asking again may help.

    Source: Prefect, `retry_condition_fn` of `task`.
    """
    failure = await state.aresult(raise_on_failure=False)
    return isinstance(failure, Transient)


class Unrecorded(TypedDict):
    """Arguments of `prefect.task` that keep results out of the database."""

    persist_result: bool
    cache_policy: Any


class Retry(Unrecorded):
    """Arguments of `prefect.task` that say when a task runs again."""

    retries: int
    retry_delay_seconds: Any
    retry_jitter_factor: float
    retry_condition_fn: Any


NO_RECORD: Unrecorded = {"persist_result": False, "cache_policy": NO_CACHE}
"""For tasks without retries. Tasks would inherit `persist_result` from their flow, and revisions hold secrets."""

RETRY_TRANSIENT: Retry = {
    **NO_RECORD,
    "retries": 5,
    "retry_delay_seconds": exponential_backoff(backoff_factor=0.5),  # 0.5, 1, 2, 4, 8 s
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": is_transient,
}
"""For every task with a side effect: `@task(..., **RETRY_TRANSIENT)`. In all about 15 s pass before it gives up."""
