"""Restart: the same containers, stopped and started, a few at a time."""

from __future__ import annotations

from prefect import flow

from stampede.errors import BadInput
from stampede.flows.converge import Request, converge
from stampede.planning.changes import Outcome
from stampede.planning.dependencies import must_complete
from stampede.planning.plan import Demands
from stampede.tasks.locks import stack_lock
from stampede.tasks.stack_state import read_wanted


@flow(name="restart-service", flow_run_name="restart {stack}", persist_result=True)
async def restart_service(
    stack: str,
    services: list[str] | None = None,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards every instance of the services has been restarted and is healthy.

    If none is named, those are all but the jobs that others wait for to complete: these would run once more.
    They restart in the waves of their update_config.
    Raises: BadInput for an unknown service, UpdateFailed, StackLocked.
    """
    async with stack_lock(stack, who=requested_by, why=why or "restart", wait_s=wait_for_lock_s) as lock:
        base = await read_wanted(stack)
        definition = base.definition.services
        known = definition.keys()
        if unknown := sorted(set(services or ()) - known):
            raise BadInput(
                f"{stack} has no service {', '.join(unknown)}", f"its services are {', '.join(sorted(known))}"
            )
        return await converge(
            Request(
                stack=stack,
                fence=lock.fence,
                draft=None,
                revision=base,
                demands=Demands(restart=frozenset(services or known - must_complete(definition))),
                by=requested_by,
                why=why or "restart",
                dry_run=dry_run,
            )
        )
