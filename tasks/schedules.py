"""Schedules of a stack, on its deployments; and runs of them that came too late to matter.

The schedules that its file asks for have slugs of ours. Those that people add are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.runtime import deployment, flow_run

from stampede.planning.schedules import OURS, Schedule

PATIENCE_S = 6 * 3600.0  # a scheduled run waits for so long until others of the kind have ended
_WILL_DO = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.COMPLETED]


async def ensure_schedules(client: PrefectClient, deployment_id: UUID, wanted: Iterable[Schedule]) -> None:
    """Afterwards the deployment has exactly these schedules of ours. One that stays is not touched, paused or not."""
    by_slug = {one.slug: one for one in wanted}
    there = {one.slug: one for one in await client.read_deployment_schedules(deployment_id) if one.slug}
    for slug, found in there.items():
        if slug.startswith(OURS) and slug not in by_slug:
            await client.delete_deployment_schedule(deployment_id, found.id)
    fresh = [
        DeploymentScheduleCreate(
            schedule=CronSchedule(cron=one.cron, timezone="UTC"),
            active=True,
            parameters={"volumes": list(one.volumes), "scheduled": True},
            slug=slug,
        )
        for slug, one in by_slug.items()
        if slug not in there
    ]
    if fresh:
        await client.create_deployment_schedules(deployment_id, fresh)


async def is_overdue(volumes: list[str] | None) -> bool:
    """Whether a later run of this deployment for the same volumes is due by now, so that this one has nothing to do.

    After an absence Prefect starts every run that was missed; only the last of them does something.
    """
    if not deployment.id:
        return False
    due = flow_run.scheduled_start_time
    later = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[UUID(deployment.id)]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_WILL_DO)),
        expected_start_time=FlowRunFilterExpectedStartTime(
            after_=due + timedelta(milliseconds=1), before_=datetime.now(UTC)
        ),
    )
    async with get_client() as client:
        found = await client.read_flow_runs(flow_run_filter=later)
    return any(one.parameters.get("volumes") == volumes for one in found)
