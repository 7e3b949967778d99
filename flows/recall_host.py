"""On a host: what it keeps of the stacks it runs goes back to a server that has forgotten it."""

from __future__ import annotations

from prefect import flow

from stampede.frozen import Frozen
from stampede.tasks.recalling import fences_of_host, restore_revisions, standings_of_host


class HostMemory(Frozen):
    """What a host knows of one stack. `revisions` are stored on the server again."""

    stack: str
    fence: int = 0
    standing_fence: int = 0
    wanted: int = 0
    serving: int = 0
    revisions: tuple[int, ...] = ()


@flow(name="recall-host", persist_result=True)
async def recall_host() -> dict[str, HostMemory]:
    """Afterwards every revision that this host keeps is a document of the server, which had it or has it now.

    Raises: Refused when the server has another revision of the same number, Damaged.
    """
    fences = await fences_of_host()
    memories = {stack: HostMemory(stack=stack, fence=fence) for stack, fence in fences.items()}
    for standing in await standings_of_host():
        memories[standing.stack] = HostMemory(
            stack=standing.stack,
            fence=max(standing.fence, fences.get(standing.stack, 0)),
            standing_fence=standing.fence,
            wanted=standing.wanted,
            serving=standing.serving,
            revisions=await restore_revisions(standing.stack),
        )
    return memories
