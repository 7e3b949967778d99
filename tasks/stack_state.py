"""A stack's documents: which revision is wanted, and the next one."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.runtime import flow_run

from stampede.blocks.documents import Documents
from stampede.documents import Revision
from stampede.frozen import Frozen
from stampede.planning.instances import Image
from stampede.tasks.retry import NO_RECORD

STACK_TAG = "stampede-stack"


class Head(Frozen):
    """`latest` is the highest revision there is; `serving` the last one that was rolled out whole (0: none yet)."""

    latest: int = 0
    serving: int = 0
    removed: bool = False


class Draft(Frozen):
    """What a verb wants a stack to become. `images` is None where they have to be resolved first."""

    stack: str
    document: dict[str, Any]
    images: dict[str, Image] | None = None
    salt: str


def head_name(stack: str) -> str:
    """Name of the Prefect variable that says which revision of a stack is wanted."""
    return f"stack-{stack}"


async def read_head(stack: str) -> Head:
    """Where the stack stands; an empty head for one that has never been deployed."""
    async with get_client() as client:
        found = await client.read_variable_by_name(head_name(stack))
    return Head.model_validate(found.value) if found else Head()


async def write_head(stack: str, head: Head) -> None:
    """Afterwards the stack's variable says `head`. Only the holder of the stack's lock writes it."""
    async with get_client() as client:
        value = head.model_dump(mode="json")
        if await client.read_variable_by_name(head_name(stack)):
            await client.update_variable(VariableUpdate(name=head_name(stack), value=value))
        else:
            await client.create_variable(VariableCreate(name=head_name(stack), value=value, tags=[STACK_TAG]))


async def read_latest(stack: str) -> Revision | None:
    """The newest revision of a stack, rolled out or not; None for a new stack."""
    head = await read_head(stack)
    return await read_revision(stack, head.latest) if head.latest else None


async def read_revision(stack: str, number: int) -> Revision:
    """Raises: UnknownName."""
    async with get_client() as client:
        return await Documents(client).read_revision(stack, number)


async def draft_from_candidate(stack: str, candidate: str) -> Draft:
    """What a client stored. The salt of the stack's revisions is kept, so that hashes stay comparable."""
    async with get_client() as client:
        document = await Documents(client).read_candidate(candidate)
    latest = await read_latest(stack)
    return Draft(stack=stack, document=document, salt=latest.salt if latest else secrets.token_hex(16))


@task(task_run_name="record revision of {stack}", **NO_RECORD)
async def ensure_revision(stack: str, draft: Draft, images: dict[str, Image], by: str, why: str) -> Revision:
    """Afterwards a revision with the draft's content is the newest one. The newest is reused if it has that content."""
    latest = await read_latest(stack)
    if latest and latest.document == draft.document and latest.images == images:
        return latest
    revision = Revision(
        stack=stack,
        number=(latest.number if latest else 0) + 1,
        created=datetime.now(UTC),
        by=by,
        why=why,
        run=str(flow_run.id or ""),
        salt=draft.salt,
        document=draft.document,
        images=images,
    )
    async with get_client() as client:
        await Documents(client).create_revision(revision)
    head = await read_head(stack)
    await write_head(stack, head.model_copy(update={"latest": revision.number, "removed": False}))
    return revision

