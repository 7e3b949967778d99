"""Work on volumes while nothing has them open: the instances that use them stop, and start again whatever happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from prefect import flow
from prefect.runtime import flow_run

from stampede.documents import Revision
from stampede.errors import StampedeError
from stampede.flows.converge import Request, converge_quietly
from stampede.planning.changes import Action, Change, Outcome
from stampede.planning.slots import as_old
from stampede.planning.volume_users import services_on, users_to_stop
from stampede.tasks.containers import stop_container
from stampede.tasks.listening import take_out_of_service
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_hosts
from stampede.tasks.reading import read_found
from stampede.tasks.stack_state import read_revision, record_wanted
from stampede.volumes.models import FoundManagedVolume

Work = Callable[[Mandate], Awaitable[None]]


@flow(name="stop-users", persist_result=True)
async def stop_users(stack: str, revision: int, volumes: list[str], mandate: Mandate | None = None) -> list[str]:
    """Afterwards no instance of the revision has these volumes of this host open. Returns those that had.

    They stop in order, dependents first, each drained before. Without a mandate nothing is stopped. Raises: Fenced.
    """
    definition = (await read_revision(stack, revision)).definition
    users = users_to_stop(definition, volumes, (await read_found(stack)).instances)
    if mandate is None:
        return [user.label for user in users]
    for service in reversed(services_on(definition, volumes)):
        here = [user for user in users if user.service == service]
        await asyncio.gather(*(take_out_of_service(mandate, service, user.name) for user in here))
        await asyncio.gather(*(stop_container(mandate, as_old(user)) for user in here))
    return [user.label for user in users]


async def while_stopped(
    request: Request, running: Revision | None, volumes: Sequence[FoundManagedVolume], work: Work
) -> Outcome:
    """`work` is done while nothing that is `running` has the volumes open, and what the request wants runs afterwards.

    When it fails, what ran before runs again, and the error is raised. On a dry run, says which instances would stop.
    """
    mandate = Mandate(stack=request.stack, fence=request.fence, run=str(flow_run.id or ""))
    if running is None:
        if not request.dry_run:
            await work(mandate)
        return Outcome(stack=request.stack, revision=None, dry_run=request.dry_run)
    if not request.dry_run:
        # A change that is killed from here on has left instances stopped: the next one starts them.
        await record_wanted(request.stack, running, fence=request.fence, changes=True)
    asked = {
        host: {
            "stack": request.stack,
            "revision": running.number,
            "volumes": sorted(volume.name for volume in volumes if volume.host == host),
            "mandate": None if request.dry_run else mandate,
        }
        for host in sorted({volume.host for volume in volumes})
    }
    users = await on_hosts(asked, stop_users, step=f"stop what uses {', '.join(v.name for v in volumes)}")
    stopped = tuple(
        Change(action=Action.STOP, kind="instance", name=label, host=host, reason="it has the volume open")
        for host, labels in users.items()
        for label in labels
    )
    if not request.dry_run:
        try:
            await work(mandate)
        except StampedeError:
            await converge_quietly(replace(request, draft=None, revision=running, going_back=True, with_data=True))
            raise
    outcome = await converge_quietly(request)
    return outcome.model_copy(update={"changes": (*stopped, *outcome.changes)})
