"""What a host keeps of the stacks it runs, so that it can tell a server that has lost its database."""

from __future__ import annotations

from prefect import task

from stampede.blocks.host_revisions import (
    Standing,
    forget_revisions,
    forget_stack,
    keep_revision,
    read_standing,
    superseded,
    write_standing,
)
from stampede.documents import Revision
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import NO_RECORD
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


@task(task_run_name="keep revision {revision.number} on this host", **NO_RECORD)
async def keep_wanted(mandate: Mandate, revision: Revision) -> None:
    """Afterwards this host has the revision in a file of its own, and knows that a change to it has begun.

    Comes before anything changes, so that what is found on a host is always of a revision that the host has.
    Raises: Fenced.
    """
    mandate.check()
    places = this_host().places
    await in_thread(keep_revision, places, revision)
    before = read_standing(places, mandate.stack)
    serving = before.serving if before else 0
    standing = Standing(
        stack=mandate.stack, fence=mandate.fence, wanted=revision.number, serving=serving, changing=True
    )
    await in_thread(write_standing, places, standing)


async def note_leaving(mandate: Mandate) -> None:
    """Afterwards this host knows that the stack is being removed, if it has it at all. Raises: Fenced."""
    mandate.check()
    places = this_host().places
    if standing := read_standing(places, mandate.stack):
        await in_thread(write_standing, places, standing.model_copy(update={"changing": True}))


async def note_serving(mandate: Mandate, revision: Revision | None) -> None:
    """Afterwards this host knows that the revision serves here, and keeps few others; nothing of a stack that went.

    Raises: Fenced.
    """
    mandate.check()
    host = this_host()
    if revision is None:
        await in_thread(forget_stack, host.places, mandate.stack)
        return
    number = revision.number
    standing = Standing(stack=mandate.stack, fence=mandate.fence, wanted=number, serving=number)
    await in_thread(write_standing, host.places, standing)
    if old := superseded(host.places, mandate.stack):
        found = await in_thread(host.docker.found, host.name, host.cluster, mandate.stack)
        needed = {number, *(instance.revision for instance in found.instances)}
        await in_thread(forget_revisions, host.places, mandate.stack, old - needed)


def told_revision(stack: str) -> int:
    """The revision that this host was last told to run; 0 for none, -1 if it was never told that this one serves."""
    standing = read_standing(this_host().places, stack)
    if standing is None:
        return 0
    return standing.wanted if standing.serving == standing.wanted else -1
