"""Roll back: what runs becomes an earlier revision again."""

from __future__ import annotations

from prefect import flow

from stampede.errors import BadInput
from stampede.flows.converge import Request, converge
from stampede.flows.volumes.before_deploy import data_of
from stampede.flows.volumes.hosts import volumes_of
from stampede.flows.volumes.restore_stack import GoingBack, go_back_to, running_revision
from stampede.planning.changes import Outcome
from stampede.tasks.locks import stack_lock
from stampede.tasks.stack_state import read_head, read_revision


@flow(name="rollback-stack", flow_run_name="roll back {stack}", persist_result=True)
async def rollback_stack(
    stack: str,
    revision: int | None = None,
    with_data: bool = False,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards the stack runs `revision`, with the images it had: by default the last that served before the wanted
    one, or before the stack was removed.

    With `with_data`, volumes go back to the snapshots that were taken before that revision was replaced
    (`before_deploy`); the others stay as they are. What they held until now is kept as a snapshot.

    Raises: UnknownName if that revision or its data is not kept, BadInput if there is none before, StackLocked.
    """
    async with stack_lock(stack, who=requested_by, why=why or "rollback", wait_s=wait_for_lock_s) as lock:
        head = await read_head(stack)
        number = revision if revision is not None else head.before
        if number < 1:
            raise BadInput(f"{stack} has no earlier revision", f"stampede history -p {stack} lists those that are kept")
        earlier = await read_revision(stack, number)
        request = Request(
            stack=stack,
            fence=lock.fence,
            draft=None,
            revision=earlier,
            by=requested_by,
            why=why or f"rollback to {number}",
            dry_run=dry_run,
            going_back=True,
            with_data=with_data,
        )
        if not with_data:
            return await converge(request)
        found = await volumes_of(stack)
        return await go_back_to(GoingBack(request, await running_revision(stack), found, data_of(found, number)))
