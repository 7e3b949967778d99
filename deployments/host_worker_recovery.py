"""What a worker that starts does about the runs that the process before it left behind.

Runs that a flow dispatched are closed as Crashed, so that whoever waits for them learns it at once. Runs that somebody
started are resumed in place: Running goes back to Pending and the flow runs again, re-attaches to what it dispatched
and reuses what has finished. The stack's lock stays with the run all the while.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
    WorkQueueFilter,
    WorkQueueFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateDetails, StateType
from prefect.states import Cancelled, Crashed, Pending

OPEN = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
MOST_RESUMES = 5
PAGE = 200
LINK_PREFIX = "on_host."


async def close_or_resume(client: PrefectClient, pool: str, queues: Sequence[str], host: str) -> list[FlowRun]:
    """Afterwards every open run of these queues is closed, or Pending and among the runs returned, to be run now."""
    why = f"The worker of {host} was restarted while this run was in progress"
    found = await _runs_in(client, pool, queues, OPEN)
    resumable = [run for run in found if _can_be_resumed(run)]
    for run in found:
        if not _can_be_resumed(run):
            cancelling = run.state is not None and run.state.is_cancelling()
            final: State[Any] = Cancelled(message=why) if cancelling else Crashed(message=why)
            await client.set_flow_run_state(run.id, final, force=True)
        await _close_task_runs(client, run.id, why)
    resumed: list[FlowRun] = []
    for run in resumable:
        lease = run.state.state_details.deployment_concurrency_lease_id if run.state else None
        pending: State[Any] = Pending(message=why, state_details=StateDetails(deployment_concurrency_lease_id=lease))
        await client.set_flow_run_state(run.id, pending, force=True)
        resumed.append(await client.read_flow_run(run.id))
    return resumed


async def close_cancelled(
    client: PrefectClient, pool: str, queues: Sequence[str], busy: Collection[UUID]
) -> list[UUID]:
    """Close as Cancelled the runs that are to be cancelled and do not run here; return the ones that do."""
    found = await _runs_in(client, pool, queues, [StateType.CANCELLING])
    for run in found:
        if run.id not in busy:
            await client.set_flow_run_state(run.id, Cancelled(message="It was not running any more"), force=True)
    return [run.id for run in found if run.id in busy]


def _can_be_resumed(run: FlowRun) -> bool:
    """Started by somebody, not by another flow, and not one that takes the worker down each time it runs."""
    started_by_somebody = run.deployment_id is not None or run.parent_task_run_id is None
    cancelling = run.state is not None and run.state.is_cancelling()
    return started_by_somebody and not cancelling and (run.run_count or 0) < MOST_RESUMES


async def _runs_in(
    client: PrefectClient, pool: str, queues: Sequence[str], kinds: Sequence[StateType]
) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[*kinds]))),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            work_queue_filter=WorkQueueFilter(name=WorkQueueFilterName(any_=[*queues])),
            limit=PAGE,
            offset=len(found),
        )
        found.extend(page)
        if len(page) < PAGE:
            return found


async def _close_task_runs(client: PrefectClient, flow_run_id: UUID, why: str) -> None:
    """Nothing on the server closes the open task runs of a run whose process is gone.

    The ones that stand for dispatched runs are left: they follow the state of those runs.
    """
    still_open = await client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
        task_run_filter=TaskRunFilter(
            state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
        ),
    )
    for task_run in still_open:
        if not task_run.task_key.startswith(LINK_PREFIX):
            await client.set_task_run_state(task_run.id, Crashed(message=why), force=True)
