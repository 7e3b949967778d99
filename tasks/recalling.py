"""Back from hosts to a server that has lost its database: revisions, heads, fencing numbers, deployments."""

from __future__ import annotations

from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate

from stampede.blocks.documents import Documents
from stampede.blocks.host_revisions import Standing, kept_stacks, read_revisions, read_standing
from stampede.documents import Head
from stampede.locking import fence_name
from stampede.planning.schedules import schedules_of
from stampede.tasks.deployments import ensure_stack_deployments, form_defaults
from stampede.tasks.fences import highest_fences
from stampede.tasks.retry import NO_RECORD
from stampede.tasks.stack_state import read_head, read_revision, write_head
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


async def fences_of_host() -> dict[str, int]:
    """The highest fencing number that this host has seen of each stack, also of those that are gone."""
    return await in_thread(highest_fences, this_host().places)


async def standings_of_host() -> list[Standing]:
    """Where each stack that this host runs stands, as far as this host was told."""
    places = this_host().places
    found = [await in_thread(read_standing, places, stack) for stack in kept_stacks(places)]
    return [standing for standing in found if standing]


@task(task_run_name="restore revisions of {stack}", **NO_RECORD)
async def restore_revisions(stack: str) -> tuple[int, ...]:
    """Afterwards the server has every revision of the stack that this host keeps; returns their numbers.

    What an `up` stored that came before the rebuild, and that hosts fenced off, gives way.
    Raises: Refused when the server has another one of that number and the stack serves, Damaged.
    """
    revisions = await in_thread(lambda: list(read_revisions(this_host().places, stack)))
    serves = (await read_head(stack)).serving > 0
    async with get_client() as client:
        documents = Documents(client)
        for revision in revisions:
            if not serves and await documents.find_revision(stack, revision.number) not in (None, revision):
                await documents.delete_revision(stack, revision.number)
            await documents.create_revision(revision)
    return tuple(revision.number for revision in revisions)


@task(task_run_name="number changes of {stack} from {number}", **NO_RECORD)
async def ensure_fence(stack: str, number: int) -> None:
    """Afterwards the next change of the stack gets a number higher than this one."""
    name = fence_name(stack)
    async with get_client() as client:
        found = await client.read_variable_by_name(name)
        if found is None:
            await client.create_variable(VariableCreate(name=name, value=number, tags=["stampede", "fence"]))
        elif int(str(found.value)) < number:
            await client.update_variable(VariableUpdate(name=name, value=number))


@task(task_run_name="restore where {stack} stands", **NO_RECORD)
async def ensure_head(stack: str, head: Head) -> None:
    """Afterwards the server knows where the stack stands. One that knows of something that serves is left alone."""
    known = await read_head(stack)
    if not known.serving:
        await write_head(stack, head)
    elif known.latest < head.latest:
        await write_head(stack, known.model_copy(update={"latest": head.latest}))


@task(task_run_name="register deployments of {stack}", **NO_RECORD)
async def register_stack(stack: str) -> None:
    """Afterwards the stack has its deployments, as the wanted revision says."""
    head = await read_head(stack)
    revision = await read_revision(stack, head.wanted)
    async with get_client() as client:
        await ensure_stack_deployments(client, stack, form_defaults(revision), schedules_of(revision.definition))
    await write_head(stack, head.model_copy(update={"registered": head.wanted}))
