"""Deployments: what the Prefect UI and HTTP clients start. One per flow (`deploy-stack/any`), one per flow and stack.

A deployment that exists is updated in place, never created anew: creating it again would delete its schedules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema

from stampede.blocks.api_results import BLOCK_NAME, ApiResults
from stampede.deployments.host_worker import CONTROL_QUEUE, POOL, AnyFlow

GENERIC = "any"


async def register_blocks(client: PrefectClient, blocks: Sequence[type[Block]]) -> None:
    """Afterwards the server knows these block types and their schemas."""
    for block in blocks:
        await block.aregister_type_and_schema(client=client)


async def ensure_result_storage(client: PrefectClient) -> None:
    """Afterwards `api-results/default` exists and is the server's default, for clients that set nothing."""
    try:
        document = await client.read_block_document_by_name(BLOCK_NAME, ApiResults.get_block_type_slug())
        block_id = document.id
    except ObjectNotFound:
        block_id = await ApiResults().asave(BLOCK_NAME, client=client)
    await client.update_server_default_result_storage(block_id)


async def register_generic(client: PrefectClient, verbs: Iterable[AnyFlow]) -> None:
    """Afterwards each of these flows has the deployment `<flow>/any`, with its form and its validation."""
    for flow in verbs:
        await _ensure(client, flow, GENERIC, {}, ["stampede"])


async def ensure_stack_deployments(
    client: PrefectClient,
    verbs: Iterable[AnyFlow],
    stack: str,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[UUID]:
    """Afterwards `<flow>/<stack>` exists for each of these flows that takes a `stack`.

    The stack's name and `parameters[flow name]` are the defaults of its form. Schedules of existing ones are kept.
    """
    made = []
    for flow in verbs:
        if "stack" in flow.parameters.properties:
            defaults = {"stack": stack, **(parameters or {}).get(flow.name, {})}
            made.append(await _ensure(client, flow, stack, defaults, ["stampede", f"stack:{stack}"]))
    return made


async def remove_stack_deployments(client: PrefectClient, stack: str) -> int:
    """Afterwards no deployment of this stack exists; returns how many were removed. Runs and their history stay."""
    wanted = DeploymentFilter(tags=DeploymentFilterTags(all_=["stampede", f"stack:{stack}"]))
    found = await client.read_deployments(deployment_filter=wanted, limit=200)
    for deployment in found:
        await client.delete_deployment(deployment.id)
    return len(found)


async def _ensure(client: PrefectClient, flow: AnyFlow, name: str, parameters: dict[str, Any], tags: list[str]) -> UUID:
    schema = parameter_schema(flow).model_dump_for_openapi()
    try:
        existing = await client.read_deployment_by_name(f"{flow.name}/{name}")
    except ObjectNotFound:
        return await client.create_deployment(
            flow_id=await client.create_flow_from_name(flow.name),
            name=name,
            work_pool_name=POOL,
            work_queue_name=CONTROL_QUEUE,
            parameters=parameters,
            tags=tags,
            description=flow.description,
            parameter_openapi_schema=schema,
            enforce_parameter_schema=True,
        )
    update = DeploymentUpdate(
        work_pool_name=POOL,
        work_queue_name=CONTROL_QUEUE,
        parameters=parameters,
        tags=tags,
        description=flow.description,
        parameter_openapi_schema=schema,
        enforce_parameter_schema=True,
    )
    await client.update_deployment(existing.id, update)
    return existing.id
