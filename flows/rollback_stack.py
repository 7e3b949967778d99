"""Roll back: what runs becomes an earlier revision again."""

from __future__ import annotations

from prefect import flow

from stampede.errors import BadInput
from stampede.flows.converge import Request, converge
from stampede.planning.changes import Outcome
from stampede.tasks.locks import stack_lock
from stampede.tasks.stack_state import read_head, read_revision


@flow(name="rollback-stack", flow_run_name="roll back {stack}", persist_result=True)
async def rollback_stack(
    stack: str,
    revision: int | None = None,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards the stack runs `revision`, with the images it had: by default the last that served before the wanted
    one, or before the stack was removed.

    Raises: UnknownName if that revision is not kept, BadInput if there is none before, StackLocked.
    """
    async with stack_lock(stack, who=requested_by, why=why or "rollback", wait_s=wait_for_lock_s) as lock:
        head = await read_head(stack)
        number = revision if revision is not None else head.before
        if number < 1:
            raise BadInput(f"{stack} has no earlier revision", f"stampede history -p {stack} lists those that are kept")
        earlier = await read_revision(stack, number)
        return await converge(
            Request(
                stack=stack,
                fence=lock.fence,
                draft=None,
                revision=earlier,
                by=requested_by,
                why=why or f"rollback to {number}",
                dry_run=dry_run,
                going_back=True,
            )
        )
