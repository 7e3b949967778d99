"""Rebuild: a server whose database was lost learns from the hosts what they run. Nothing that runs is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from prefect import flow

from stampede.documents import Head
from stampede.flows.recall_host import HostMemory, recall_host
from stampede.frozen import Frozen
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.locks import stack_lock
from stampede.tasks.on_host import on_hosts
from stampede.tasks.recalling import ensure_fence, ensure_head, register_stack


class Rebuilt(Frozen):
    """A stack that the server knows again, and the revisions of it that came from hosts."""

    stack: str
    revision: int
    revisions: tuple[int, ...] = ()


@flow(name="rebuild-server", persist_result=True)
async def rebuild_server(requested_by: str = "") -> list[Rebuilt]:
    """Afterwards the server has the revisions that hosts keep, knows which of them is wanted and which serves, and
    numbers changes higher than any host has seen. What it knows already stays as it is.

    Raises: Refused when a host keeps another revision under a number that the server has given away since.
    """
    hosts = await schedulable_hosts()
    memories = await on_hosts({host: {} for host in hosts}, recall_host, step="recall what runs", reuse=False)
    by_stack: dict[str, list[HostMemory]] = defaultdict(list)
    for of_host in memories.values():
        for stack, memory in of_host.items():
            by_stack[stack].append(memory)
    return [await rebuild_stack(stack, of_hosts, requested_by) for stack, of_hosts in sorted(by_stack.items())]


async def rebuild_stack(stack: str, memories: Iterable[HostMemory], requested_by: str) -> Rebuilt:
    """The stack's numbers are as the hosts remember them. The host that was told last is right."""
    memories = list(memories)
    await ensure_fence(stack, max(memory.fence for memory in memories))
    async with stack_lock(stack, who=requested_by, why="rebuild"):
        newest = max(memories, key=lambda memory: memory.standing_fence)
        revisions = sorted({number for memory in memories for number in memory.revisions})
        if newest.wanted:
            latest = max(revisions, default=newest.wanted)
            served = tuple(number for number in revisions if number <= newest.serving)  # which failed, nobody knows
            head = Head(latest=latest, wanted=newest.wanted, serving=newest.serving, served=served)
            await ensure_head(stack, head)
            await register_stack(stack)
    return Rebuilt(stack=stack, revision=newest.wanted, revisions=tuple(revisions))
