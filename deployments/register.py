"""What a worker registers before it takes runs: types of blocks, the storage of results, and `<flow>/any` of each verb.

A deployment that exists is updated in place, never created anew: creating it again would delete its schedules.
Those of stacks mirror the generic ones (tasks/deployments.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.exceptions import ObjectNotFound

from stampede.blocks.api_results import BLOCK_NAME, ApiResults
from stampede.deployments.host_worker import CONTROL_QUEUE, POOL, AnyFlow
from stampede.tasks.deployments import GENERIC, TAG


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
        await _ensure(client, flow, GENERIC, {}, [TAG, f"flow:{flow.name}"])


async def _ensure(client: PrefectClient, flow: AnyFlow, name: str, parameters: dict[str, Any], tags: list[str]) -> UUID:
    schema = flow.parameters.model_dump_for_openapi()
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
