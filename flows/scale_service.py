"""Scale: other numbers of replicas, nothing else."""

from __future__ import annotations

from prefect import flow

from stampede.documents import with_replicas
from stampede.errors import BadInput
from stampede.flows.converge import Request, converge
from stampede.planning.changes import Outcome
from stampede.tasks.locks import stack_lock
from stampede.tasks.stack_state import Draft, read_wanted


@flow(name="scale-service", flow_run_name="scale {stack}", persist_result=True)
async def scale_service(
    stack: str,
    replicas: dict[str, int],
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards each named service has that many instances, and a new revision says so.

    Raises: BadInput for an unknown service or a negative number, UnknownName for an unknown stack, StackLocked.
    """
    async with stack_lock(stack, who=requested_by, why=why or "scale", wait_s=wait_for_lock_s) as lock:
        base = await read_wanted(stack)
        if unknown := sorted(replicas.keys() - base.document["services"].keys()):
            known = ", ".join(sorted(base.document["services"]))
            raise BadInput(f"{stack} has no service {', '.join(unknown)}", f"its services are {known}")
        if any(number < 0 for number in replicas.values()):
            raise BadInput("there cannot be fewer than 0 replicas")
        document = with_replicas(base.document, replicas)
        draft = Draft(stack=stack, document=document, images=base.images, salt=base.salt)
        return await converge(
            Request(stack=stack, fence=lock.fence, draft=draft, by=requested_by, why=why or "scale", dry_run=dry_run)
        )
