"""Eject: a stack becomes a project of plain Docker Compose on its host, and Stampede forgets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from stampede.documents import Revision
from stampede.ejection.decision import decide_ejection, go_on_with
from stampede.ejection.models import Ejection, EjectionSite
from stampede.ejection.plan import plan_ejection
from stampede.errors import BadInput, DaemonError, Refused, Transient, Unhealthy, UnknownName, UpdateFailed
from stampede.flows.converge import Request, go_back, make_plan, survey
from stampede.flows.move_out import forget_ejection, move_back, move_out, survey_ejection
from stampede.flows.roll_out import roll_out
from stampede.flows.survey_host import Survey
from stampede.planning.batches import HostWork
from stampede.planning.changes import Outcome, Plan
from stampede.planning.listening import Listening
from stampede.planning.slots import NO_DOUBT
from stampede.tasks.artifacts import publish_outcome, publish_plan
from stampede.tasks.events import announced
from stampede.tasks.locks import stack_lock
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_hosts
from stampede.tasks.stack_state import read_head, read_wanted, record_serving, record_wanted


@dataclass(frozen=True)
class Departure(Request):
    """A stack that shall be ejected to `directory`; `to_one` says that replicas behind a port may go."""

    directory: str = ""
    to_one: bool = False


@flow(name="eject-stack", flow_run_name="eject {stack}", persist_result=True)
async def eject_stack(
    stack: str,
    directory: str,
    replicas_to_one: bool = False,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards `docker compose` runs what the stack ran, with its data, from `directory` on the stack's host.

    When the project does not become healthy, the stack runs as before. Run again, it goes on where it was.
    Raises: Refused where a published port would have to be shared or the directory is in use, UpdateFailed,
    StackLocked.
    """
    if not Path(directory).is_absolute() or Path(directory) == Path("/"):
        raise BadInput(f"{directory!r} is no directory on a host", "--to /srv/shop, for example")
    async with stack_lock(stack, who=requested_by, why=why or "eject", wait_s=wait_for_lock_s) as lock:
        if await is_over(stack):
            return Outcome(stack=stack, revision=None)
        return await eject(
            Departure(
                stack=stack,
                fence=lock.fence,
                draft=None,
                revision=await read_wanted(stack),
                by=requested_by,
                why=why or "eject",
                dry_run=dry_run,
                directory=str(Path(directory)),
                to_one=replicas_to_one,
            )
        )


@announced
async def eject(request: Departure) -> Outcome:
    """The plan, published; then, unless this is a dry run, the project in the stack's place."""
    wanted = request.revision
    assert wanted is not None, "it was read"
    surveys = await survey(request)
    host, ejection = await decide(request, wanted, surveys)
    shown = plan_ejection(wanted, ejection, surveys[host].found)
    await publish_plan(shown, wanted.number)
    if request.dry_run:
        return Outcome.of_plan(shown, wanted.number, dry_run=True)
    removal = await make_plan(request, None, surveys, NO_DOUBT)
    serving = (await read_head(request.stack)).serving
    await record_wanted(request.stack, None, fence=request.fence, changes=True)
    await move_out_or_stay(request, host, ejection, removal, serving)
    await forget(request, surveys, host)
    outcome = Outcome.of_plan(shown, wanted.number)
    await publish_outcome(outcome)
    return outcome


async def is_over(stack: str) -> bool:
    """Whether the stack is gone already. Raises: UnknownName for one that never was."""
    head = await read_head(stack)
    if not head.latest:
        raise UnknownName(f"there is no stack {stack}", "stampede ps lists what runs")
    return not head.wanted


async def decide(request: Departure, wanted: Revision, surveys: Mapping[str, Survey]) -> tuple[str, Ejection]:
    """On which host, and how; as before if an earlier run was interrupted. Raises: Refused, BadInput."""
    asked = {
        host: {"stack": request.stack, "directory": request.directory, "images": wanted.images} for host in surveys
    }
    sites = await on_hosts(asked, survey_ejection, step=f"look where {request.stack} would go", reuse=False)
    host = the_host(request.stack, surveys, sites)
    begun = sites[host].begun
    if begun and begun.revision == wanted.number and not (await read_head(request.stack)).settled:
        return host, go_on_with(begun, request.directory)
    found, site = surveys[host].found, sites[host]
    definition = wanted.definition
    return host, decide_ejection(definition, wanted.number, request.directory, found, site, to_one=request.to_one)


def the_host(stack: str, surveys: Mapping[str, Survey], sites: Mapping[str, EjectionSite]) -> str:
    """Where the stack runs, or ran before an interruption. Raises: Refused if that is more than one host."""
    hosts = [host for host, survey in surveys.items() if survey.found.instances or sites[host].begun]
    if len(hosts) > 1:
        raise Refused(
            f"{stack} runs on {', '.join(sorted(hosts))}, and a Compose project lives on one host",
            "drain the others first",
        )
    return hosts[0] if hosts else next(iter(surveys))


async def move_out_or_stay(request: Departure, host: str, ejection: Ejection, removal: Plan, serving: int) -> None:
    """The project runs, and the stack's containers are gone. Raises: UpdateFailed when the stack runs as before."""
    prepared = removal.preparations.get(host)
    order = {
        "stack": request.stack,
        "mandate": _mandate(request),
        "ejection": ejection,
        "listening": prepared.listening if prepared else Listening(),
        "stages": removal.stages,
    }
    try:
        await on_hosts({host: order}, move_out, step=f"move {request.stack} out")
    except (DaemonError, Unhealthy, Refused) as failure:
        if isinstance(failure, Transient) or not serving:
            raise
        back = {"stack": request.stack, "mandate": _mandate(request), "ejection": ejection}
        await on_hosts({host: back}, move_back, step=f"take the project {request.stack} down")
        await go_back(request, serving)
        raise UpdateFailed(f"{failure.message}; {request.stack} runs as before", failure.hint) from failure


async def forget(request: Departure, surveys: Mapping[str, Survey], home: str) -> None:
    """Afterwards no host and no server knows of the stack any more, but for its history."""
    told = [host for host, survey in surveys.items() if host == home or survey.told]
    order = {"stack": request.stack, "revision": 0, "mandate": _mandate(request), "work": HostWork(is_last=True)}
    await on_hosts(dict.fromkeys(told, order), roll_out, step=f"forget {request.stack}")
    await record_serving(request.stack, None, fence=request.fence)
    await on_hosts({home: {"stack": request.stack}}, forget_ejection, step="it is over")


def _mandate(request: Request) -> Mandate:
    return Mandate(stack=request.stack, fence=request.fence, run=str(flow_run.id or ""))
