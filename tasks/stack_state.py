"""A stack's documents: which revision is wanted, which one serves, and the next one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.runtime import flow_run

from stampede.blocks.documents import Documents
from stampede.documents import Head, Revision, document_name, head_name
from stampede.errors import BadInput, Fenced, UnknownName
from stampede.frozen import Frozen
from stampede.locking import fence_name
from stampede.planning.instances import Image
from stampede.planning.schedules import schedules_of
from stampede.tasks.awaited_backups import tell_awaited
from stampede.tasks.deployments import ensure_stack_deployments, form_defaults, remove_stack_deployments
from stampede.tasks.retry import NO_RECORD

STACK_TAG = "stampede-stack"
KEPT_REVISIONS = 20


class Draft(Frozen):
    """What a verb wants a stack to become. `images` holds those that are known; the others have to be resolved."""

    stack: str
    document: dict[str, Any]
    images: dict[str, Image] = {}
    salt: str


async def read_head(stack: str) -> Head:
    """Where the stack stands; an empty head for one that has never been deployed."""
    async with get_client() as client:
        found = await client.read_variable_by_name(head_name(stack))
    return Head.model_validate(found.value) if found else Head()


async def write_head(stack: str, head: Head) -> None:
    """Afterwards the stack's variable says `head`. Only the holder of the stack's lock writes it."""
    value = head.model_dump(mode="json")
    async with get_client() as client:
        if await client.read_variable_by_name(head_name(stack)):
            await client.update_variable(VariableUpdate(name=head_name(stack), value=value))
        else:
            await client.create_variable(VariableCreate(name=head_name(stack), value=value, tags=[STACK_TAG]))


async def read_wanted(stack: str) -> Revision:
    """The revision that is wanted of a stack. Raises: UnknownName for a stack that is not deployed."""
    head = await read_head(stack)
    if not head.wanted:
        raise UnknownName(f"there is no stack {stack}", "stampede ps lists what runs; stampede up makes a stack")
    return await read_revision(stack, head.wanted)


async def read_revision(stack: str, number: int) -> Revision:
    """Raises: UnknownName."""
    async with get_client() as client:
        return await Documents(client).read_revision(stack, number)


async def revisions_of(stack: str, numbers: Iterable[int]) -> dict[int, Revision]:
    """Those of the numbered revisions that are kept."""
    async with get_client() as client:
        documents = Documents(client)
        found = [(number, await documents.find_revision(stack, number)) for number in sorted(numbers) if number]
    return {number: revision for number, revision in found if revision}


async def draft_from_candidate(stack: str, candidate: str) -> Draft:
    """What a client stored. The salt of the stack's revisions is kept, so that hashes stay comparable.

    Raises: UnknownName, BadInput for the candidate of another stack, which is not under this one's lock.
    """
    async with get_client() as client:
        document = await Documents(client).read_candidate(candidate)
    if (named := document.get("name")) != stack:
        raise BadInput(f"the stack file of candidate {candidate} is called {named}, not {stack}", "name that stack")
    head = await read_head(stack)
    latest = (await revisions_of(stack, {head.latest})).get(head.latest)
    return Draft(stack=stack, document=document, salt=latest.salt if latest else secrets.token_hex(16))


async def store_candidate(stack: str, document: dict[str, Any]) -> str:
    """Store a document that a flow made, so that hosts can read it. Returns its name, the same for the same run."""
    name = f"{document_name(stack)}-run-{flow_run.id}"
    async with get_client() as client:
        await Documents(client).create_candidate(name, stack, document)
    return name


async def preview_revision(draft: Draft, by: str = "", why: str = "") -> Revision:
    """The revision with the draft's content: the wanted one if it has that, else the next. Nothing is stored."""
    head = await read_head(draft.stack)
    wanted = (await revisions_of(draft.stack, {head.wanted})).get(head.wanted)
    if wanted and wanted.document == draft.document and _same_images(wanted.images, draft.images):
        return wanted
    return Revision(
        stack=draft.stack,
        number=await _free_number(draft.stack, head.latest + 1),
        created=datetime.now(UTC),
        by=by,
        why=why,
        run=str(flow_run.id or ""),
        salt=draft.salt,
        document=draft.document,
        images=draft.images,
    )


def _same_images(one: Mapping[str, Image], other: Mapping[str, Image]) -> bool:
    return one.keys() == other.keys() and all(image.is_same_as(other[name]) for name, image in one.items())


async def _free_number(stack: str, number: int) -> int:
    """This number, or the next that no revision has: a run that died left one which its head does not know of."""
    while await revisions_of(stack, {number}):
        number += 1
    return number


async def check_not_overtaken(stack: str, fence: int) -> None:
    """Returns while no newer change of the stack has begun, as hosts check it before they touch anything.

    A change that was declared dead may work on for a while, and must not write what is wanted. Raises: Fenced.
    """
    async with get_client() as client:
        newest = await client.read_variable_by_name(fence_name(stack))
    if newest and int(str(newest.value)) > fence:
        raise Fenced(
            f"Change {fence} of {stack} was overtaken by change {newest.value} and must not record anything any more",
            f"stampede history -p {stack} shows the newer one",
        )


async def record_wanted(stack: str, revision: Revision | None, *, fence: int, changes: bool) -> None:
    """Afterwards this revision is stored, and is the wanted one. None (the stack shall go) leaves that as it was.

    `changes` says that something has to change: until `record_serving`, the stack is not settled. What is on record
    already is no task. Raises: Fenced.
    """
    head = await read_head(stack)
    if _begun(head, revision, changes) != head:
        await write_wanted(stack, revision, fence=fence, changes=changes)


@task(task_run_name="record what is wanted of {stack}", **NO_RECORD)
async def write_wanted(stack: str, revision: Revision | None, *, fence: int, changes: bool) -> None:
    """`record_wanted` where something has to be written."""
    await check_not_overtaken(stack, fence)
    head = await read_head(stack)
    if revision and revision.number > head.latest:
        async with get_client() as client:
            await Documents(client).create_revision(revision)
    begun = _begun(head, revision, changes)
    if begun != head:
        await write_head(stack, begun)


def _begun(head: Head, revision: Revision | None, changes: bool) -> Head:
    begun = head.model_copy(update={"settled": head.settled and not changes})
    if revision is None:
        return begun
    return begun.model_copy(update={"wanted": revision.number, "latest": max(head.latest, revision.number)})


async def record_serving(stack: str, revision: Revision | None, *, fence: int) -> None:
    """Afterwards this revision is on record as serving (None: the stack is gone), and very old ones are forgotten.

    The stack's deployments have its defaults, or are gone. What is on record already is no task. Raises: Fenced.
    """
    head = await read_head(stack)
    if head.now_serving(revision.number if revision else 0) != head:
        await write_serving(stack, revision, fence=fence)


@task(task_run_name="record what serves of {stack}", **NO_RECORD)
async def write_serving(stack: str, revision: Revision | None, *, fence: int) -> None:
    """`record_serving` where something has to be written."""
    await check_not_overtaken(stack, fence)
    head = await read_head(stack)
    number = revision.number if revision else 0
    recorded = head.now_serving(number)
    async with get_client() as client:
        if revision:
            await ensure_stack_deployments(client, stack, form_defaults(revision), schedules_of(revision.definition))
        else:
            await remove_stack_deployments(client, stack)
        tell_awaited(stack, (await revisions_of(stack, {head.serving})).get(head.serving), revision)
        await write_head(stack, recorded)
        if (oldest := head.latest - KEPT_REVISIONS) > 0:
            await Documents(client).forget_revisions(stack, oldest + 1, but=number)
