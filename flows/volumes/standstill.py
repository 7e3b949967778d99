"""Work on volumes while nothing has them open: the instances that use them stop, and start again whatever happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from prefect import flow, get_run_logger
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
from stampede.tasks.threads import to_the_end
from stampede.volumes.models import FoundManagedVolume

Work = Callable[[Mandate], Awaitable[None]]


async def nothing(mandate: Mandate) -> None:
    """There is nothing to undo."""


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
    request: Request,
    running: Revision | None,
    volumes: Sequence[FoundManagedVolume],
    work: Work,
    undo: Work = nothing,
) -> Outcome:
    """`work` is done while nothing that is `running` has the volumes open, and what the request wants runs afterwards.

    When any of that fails or is cancelled, `undo` is done in the same way, what ran before runs again, and the error is
    raised. On a dry run, says which instances would stop.
    """
    mandate = Mandate(stack=request.stack, fence=request.fence, run=str(flow_run.id or ""))
    if request.dry_run:
        stopped = await _stop(request.stack, running, volumes, None)
        return await _wanted(request, stopped)
    if running:
        # A change that is killed from here on has left instances stopped: the next one starts them.
        await record_wanted(request.stack, running, fence=request.fence, changes=True)
    try:
        stopped = await _stop(request.stack, running, volumes, mandate)
        await work(mandate)
        return await _wanted(request, stopped)
    except (Exception, asyncio.CancelledError):
        await to_the_end(_back(request, running, volumes, undo, mandate))
        raise


async def _wanted(request: Request, stopped: tuple[Change, ...]) -> Outcome:
    """What the request wants runs; nothing, if it is about a stack that does not."""
    if request.revision is None:
        return Outcome(stack=request.stack, revision=None, changes=stopped, dry_run=request.dry_run)
    outcome = await converge_quietly(request)
    return outcome.model_copy(update={"changes": (*stopped, *outcome.changes)})


async def _back(
    request: Request,
    running: Revision | None,
    volumes: Sequence[FoundManagedVolume],
    undo: Work,
    mandate: Mandate,
) -> None:
    """What ran before runs again, on what it had. What fails of that is in the log: the first error tells more."""
    try:
        if undo is not nothing:
            for revision in {r.number: r for r in (request.revision, running) if r}.values():
                await _stop(
                    request.stack, revision, volumes, mandate, step=f"stop again what uses (r{revision.number})"
                )
            await undo(mandate)
        if running:
            again = replace(request, draft=None, revision=running, going_back=True, with_data=True)
            await converge_quietly(again)
    except StampedeError as error:
        get_run_logger().warning("%s could not go back to what ran before: %s", request.stack, error)


async def _stop(
    stack: str,
    running: Revision | None,
    volumes: Sequence[FoundManagedVolume],
    mandate: Mandate | None,
    step: str = "stop what uses",
) -> tuple[Change, ...]:
    """Nothing of the revision has the volumes open. Returns who had; without a mandate nothing stops."""
    if running is None:
        return ()
    asked = {
        host: {
            "stack": stack,
            "revision": running.number,
            "volumes": sorted(volume.name for volume in volumes if volume.host == host),
            "mandate": mandate,
        }
        for host in sorted({volume.host for volume in volumes})
    }
    users = await on_hosts(asked, stop_users, step=f"{step} {', '.join(volume.name for volume in volumes)}")
    return tuple(
        Change(action=Action.STOP, kind="instance", name=label, host=host, reason="it has the volume open")
        for host, labels in users.items()
        for label in labels
    )
