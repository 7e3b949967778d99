"""Remove: nothing of a stack runs any more. Its named volumes stay unless asked otherwise."""

from __future__ import annotations

from prefect import flow

from stampede.flows.converge import Request, converge
from stampede.planning.changes import Outcome
from stampede.planning.plan import Demands
from stampede.tasks.locks import stack_lock


@flow(name="remove-stack", flow_run_name="remove {stack}", persist_result=True)
async def remove_stack(
    stack: str,
    volumes: bool = False,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards no instance, network or published port of the stack is left; with `volumes` its data is gone too.

    Its revisions are kept, so that `rollback` brings it back. Raises: StackLocked.
    """
    async with stack_lock(stack, who=requested_by, why=why or "remove", wait_s=wait_for_lock_s) as lock:
        return await converge(
            Request(
                stack=stack,
                fence=lock.fence,
                draft=None,
                demands=Demands(remove_volumes=volumes),
                by=requested_by,
                why=why or "remove",
                dry_run=dry_run,
            )
        )
