"""Deployments of a stack: `deploy-stack/shop` and its like, with the stack's values as defaults of their forms.

Each mirrors the deployment `<flow>/any`, which the control worker registers, so nothing here has to know the flows. One
that exists is updated in place, never created anew: creating it again would delete its schedules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse

from stampede.documents import Revision
from stampede.planning.schedules import OURS, Schedule
from stampede.tasks.schedules import ensure_schedules

GENERIC = "any"
TAG = "stampede"
PAGE = 200
FORM = ("stack", "replicas")


def form_defaults(revision: Revision) -> dict[str, Any]:
    """What the forms of a stack show at first; a flow takes those that it has parameters for."""
    services = revision.definition.services
    values = (revision.stack, {name: service.replicas for name, service in services.items()})
    return dict(zip(FORM, values, strict=True))


async def ensure_stack_deployments(
    client: PrefectClient, stack: str, defaults: Mapping[str, Any], schedules: Iterable[Schedule] = ()
) -> list[UUID]:
    """Afterwards `<flow>/<stack>` exists for each flow that a form can start, with these defaults and these schedules.

    Schedules that people added are kept. What is as it should be costs no request, but for flows with schedules. A
    stack that is called `any` has only the generic deployments, and no schedules.
    """
    if stack == GENERIC:
        return []
    found = await _read(client, DeploymentFilterName(any_=[GENERIC, stack]))
    there = {one.flow_id: one for one in found if one.name == stack}
    made: list[UUID] = []
    for generic in _generic(found):
        before = there.get(generic.flow_id)
        made.append(await _mirror(client, generic, before, stack, defaults))
        wanted = [one for one in schedules if f"flow:{one.flow}" in generic.tags]
        had = before is not None and any((one.slug or "").startswith(OURS) for one in before.schedules)
        if wanted or had:
            await ensure_schedules(client, made[-1], wanted)
    return made


async def refresh_stack_deployments(client: PrefectClient) -> None:
    """Afterwards every stack that has deployments has those of this release's flows, with the defaults it had."""
    found = await _read(client)
    for stack in sorted({one.name for one in found} - {GENERIC}):
        there = {one.flow_id: one for one in found if one.name == stack}
        defaults = {name: value for one in there.values() for name, value in one.parameters.items()}
        for generic in _generic(found):
            await _mirror(client, generic, there.get(generic.flow_id), stack, {**defaults, "stack": stack})


async def remove_stack_deployments(client: PrefectClient, stack: str) -> int:
    """Afterwards no deployment of this stack exists; returns how many were removed. Runs and their history stay."""
    if stack == GENERIC:
        return 0
    found = await _read(client, DeploymentFilterName(any_=[stack]))
    for deployment in found:
        await client.delete_deployment(deployment.id)
    return len(found)


async def _read(client: PrefectClient, name: DeploymentFilterName | None = None) -> list[DeploymentResponse]:
    wanted = DeploymentFilter(name=name, tags=DeploymentFilterTags(all_=[TAG]))
    found: list[DeploymentResponse] = []
    while True:
        page = await client.read_deployments(deployment_filter=wanted, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found


def _generic(found: Iterable[DeploymentResponse]) -> list[DeploymentResponse]:
    """Those that the form of a stack can start as it is: they ask for nothing that it does not say."""
    return [one for one in found if one.name == GENERIC and "stack" in _required(one) <= {*FORM}]


def _required(deployment: DeploymentResponse) -> set[str]:
    return set((deployment.parameter_openapi_schema or {}).get("required") or ())


def _parameters(deployment: DeploymentResponse) -> dict[str, Any]:
    return dict((deployment.parameter_openapi_schema or {}).get("properties") or {})


async def _mirror(
    client: PrefectClient,
    generic: DeploymentResponse,
    there: DeploymentResponse | None,
    stack: str,
    defaults: Mapping[str, Any],
) -> UUID:
    """Afterwards the stack's deployment of this flow is like the generic one, but for the defaults of its form."""
    wanted: dict[str, Any] = {
        "parameters": {name: value for name, value in defaults.items() if name in _parameters(generic)},
        "tags": [TAG, f"stack:{stack}"],
        "description": generic.description,
        "parameter_openapi_schema": generic.parameter_openapi_schema,
        "work_pool_name": generic.work_pool_name,
        "work_queue_name": generic.work_queue_name,
        "enforce_parameter_schema": True,
    }
    if there is None:
        return await client.create_deployment(flow_id=generic.flow_id, name=stack, **wanted)
    if any(getattr(there, name) != value for name, value in wanted.items()):
        await client.update_deployment(there.id, DeploymentUpdate(**wanted))
    return there.id
