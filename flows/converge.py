"""What every changing verb does once it knows what it wants: look, plan, publish, carry out, record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from prefect.runtime import flow_run

from stampede.documents import Head, Revision
from stampede.errors import UpdateFailed, UpdatePaused
from stampede.flows.roll_out import roll_out
from stampede.flows.survey_host import Survey, survey_host
from stampede.flows.volumes.before_deploy import let_bases_go, snapshot_before_deploy
from stampede.planning.batches import HostWork, batches
from stampede.planning.changes import Outcome, Plan
from stampede.planning.expansion import expand
from stampede.planning.obstacles import refuse_missing_images, refuse_obstacles
from stampede.planning.placement import place
from stampede.planning.plan import Demands, Situation, plan_stack
from stampede.planning.room import refuse_full_networks
from stampede.planning.slots import Doubt
from stampede.planning.taken_ports import refuse_taken_ports
from stampede.planning.update_order import on_the_way_back
from stampede.stackfile.models import Stack
from stampede.tasks.artifacts import publish_outcome, publish_plan
from stampede.tasks.events import announced
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_hosts
from stampede.tasks.stack_state import (
    Draft,
    preview_revision,
    read_head,
    record_serving,
    record_wanted,
    revisions_of,
)
from stampede.tasks.stores import known_stores


@dataclass(frozen=True)
class Request:
    """What a verb asks for: a `draft`, an existing `revision`, or neither, which means that the stack shall go.

    `going_back` makes rollback_config count instead of update_config; `with_data` says that the data goes along,
    so that what served before must not be started on it by itself. `skip_snapshot` leaves out `before_deploy`.
    """

    stack: str
    fence: int
    draft: Draft | None
    candidate: str = ""
    revision: Revision | None = None
    demands: Demands = Demands()
    by: str = ""
    why: str = ""
    pull: str | None = None
    build: bool = False
    dry_run: bool = False
    going_back: bool = False
    with_data: bool = False
    skip_snapshot: bool = False


@announced
async def converge(request: Request) -> Outcome:
    """Afterwards what runs is what the request wants, or, when that fails, what served before serves still.

    Raises: UpdateFailed after going back to the revision that served; NeedsAdoption, Foreign before anything changed.
    """
    return await converge_quietly(request)


async def converge_quietly(request: Request) -> Outcome:
    """The same as a part of another verb, which tells of its end itself."""
    surveys = await survey(request)
    wanted = await wanted_revision(request, surveys)
    surveys = await with_same_images(request, wanted, surveys)
    head = await read_head(request.stack)
    plan = await make_plan(request, wanted, surveys, doubt_of(head, going_back=request.going_back))
    await publish_plan(plan, wanted.number if wanted else None)
    if request.dry_run:
        return Outcome.of_plan(plan, wanted.number if wanted else None, dry_run=True)
    if wanted and not plan.is_empty and not (request.with_data or request.skip_snapshot):
        await snapshot_before_deploy(wanted, head)
    if wanted:
        await let_bases_go(wanted, head)
    await record_wanted(request.stack, wanted, fence=request.fence, changes=not plan.is_empty)
    warnings = await carry_out_or_go_back(request, wanted, plan)
    await tell_hosts(request, wanted, surveys, plan)
    outcome = Outcome.of_plan(plan, wanted.number if wanted else None, warnings=warnings)
    await record_serving(request.stack, wanted, fence=request.fence)
    await publish_outcome(outcome)
    return outcome


async def survey(request: Request) -> dict[str, Survey]:
    """What every host has, and the images of a candidate that has not been resolved yet."""
    asked: dict[str, Any] = {"stack": request.stack}
    if not request.dry_run:
        asked["mandate"] = _mandate(request)
    if request.candidate:
        asked |= {"candidate": request.candidate, "pull": request.pull, "build": request.build}
    elif known := (request.draft or request.revision):
        asked["images"] = known.images
    hosts = await schedulable_hosts()
    return await on_hosts(dict.fromkeys(hosts, asked), survey_host, step=f"look at {request.stack}", reuse=False)


async def with_same_images(
    request: Request, wanted: Revision | None, surveys: Mapping[str, Survey]
) -> dict[str, Survey]:
    """The same surveys. A host where a reference stood for another image has been told to get the wanted one."""
    images = wanted.images if wanted else {}
    others = [
        host
        for host, survey in surveys.items()
        if any(image.identity != images[name].identity for name, image in survey.images.items())
    ]
    asked: dict[str, Any] = {"stack": request.stack, "images": images}
    again = await on_hosts(dict.fromkeys(others, asked), survey_host, step="get the same images", reuse=False)
    return {**surveys, **again}


async def wanted_revision(request: Request, surveys: Mapping[str, Survey]) -> Revision | None:
    """The revision to converge to, which for a new draft is not stored yet; None if the stack shall go."""
    if request.draft is None:
        return request.revision
    resolved = next(iter(surveys.values())).images
    draft = request.draft.model_copy(update={"images": {**request.draft.images, **resolved}})
    return await preview_revision(draft, request.by, request.why)


def doubt_of(head: Head, *, going_back: bool = False) -> Doubt:
    """What cannot be trusted to be as it should be: everything, if the last change did not end well.

    On the way back what runs is trusted: an instance that has been unhealthy for long must not be in the way.
    """
    return Doubt(stopped=not head.settled, running=not head.settled and not going_back)


async def make_plan(request: Request, wanted: Revision | None, surveys: Mapping[str, Survey], doubt: Doubt) -> Plan:
    """Pure planning on what was read. Raises: what is in its way, by obstacles.py, taken_ports.py, room.py."""
    hosts = tuple(survey.found for survey in surveys.values())
    definition = wanted.definition if wanted else None
    found = [instance for host in hosts for instance in host.instances]
    homes = place(definition.services, [h.host for h in hosts], found) if definition else {}
    instances = expand(wanted, homes) if wanted else ()
    if definition and request.going_back:
        definition, instances = on_the_way_back(definition, instances)
    if definition:
        refuse_obstacles(definition, instances, hosts)
    before = await revisions_of(request.stack, {instance.revision for instance in found})
    plan = plan_stack(
        Situation(
            stack=request.stack,
            wanted=definition,
            instances=instances,
            hosts=hosts,
            revisions={number: revision.definition for number, revision in before.items()},
            demands=request.demands,
            doubt=doubt,
            stores=await _stores_for(definition),
        )
    )
    if definition:
        refuse_taken_ports(plan, definition, instances, hosts)
        refuse_full_networks(plan, definition, instances, hosts)
        refuse_missing_images(plan, {host: survey.missing for host, survey in surveys.items()})
    return plan


async def _stores_for(definition: Stack | None) -> frozenset[str]:
    """The stores that are ready, if the stack needs any."""
    needed = definition and any(volume.backups for volume in definition.volumes.values())
    return frozenset(await known_stores()) if needed else frozenset()


async def tell_hosts(request: Request, wanted: Revision | None, surveys: Mapping[str, Survey], plan: Plan) -> None:
    """Hosts that run the stack and had nothing to do know of the revision, too: a lost database is filled from them."""
    busy = {host for batch in batches(plan) for host in batch}
    number = wanted.number if wanted else 0
    untold = [
        host
        for host, survey in surveys.items()
        if host not in busy and survey.told != number and (survey.told or survey.found.instances)
    ]
    work = dict.fromkeys(untold, HostWork(is_last=True))
    await on_hosts(_orders(request, wanted, work), roll_out, step=f"tell of revision {number}")


async def carry_out_or_go_back(request: Request, wanted: Revision | None, plan: Plan) -> tuple[str, ...]:
    """The plan is carried out. When an update fails, what served is rolled out again, and the error raised."""
    try:
        return await carry_out(request, wanted, plan)
    except UpdatePaused:
        raise
    except UpdateFailed as failure:
        head = await read_head(request.stack)
        if not head.serving or wanted is None or head.serving == wanted.number or request.with_data:
            raise
        await go_back(request, head.serving)
        raise UpdateFailed(f"{failure.message}; back at revision {head.serving}", failure.hint) from failure


async def go_back(request: Request, number: int) -> None:
    """The revision that served runs again, everywhere, and is on record as serving."""
    revision = (await revisions_of(request.stack, {number}))[number]
    hosts = await schedulable_hosts()
    asked: dict[str, Any] = {"stack": request.stack, "images": revision.images}
    surveys = await on_hosts(dict.fromkeys(hosts, asked), survey_host, step="look again", reuse=False)
    await record_wanted(request.stack, revision, fence=request.fence, changes=True)
    back = replace(request, going_back=True, demands=Demands())
    plan = await make_plan(back, revision, surveys, doubt_of(await read_head(request.stack), going_back=True))
    await publish_plan(plan, number)
    await carry_out(request, revision, plan, prefix="go back: ")
    await record_serving(request.stack, revision, fence=request.fence)


async def carry_out(request: Request, wanted: Revision | None, plan: Plan, prefix: str = "") -> tuple[str, ...]:
    """Every batch of the plan on its hosts, one batch after the other. Returns warnings."""
    warnings: list[str] = []
    for number, batch in enumerate(batches(plan), 1):
        orders = _orders(request, wanted, batch)
        reports = await on_hosts(orders, roll_out, step=f"{prefix}roll out {request.stack} (part {number})")
        warnings += [warning for report in reports.values() for warning in report.warnings]
    return tuple(warnings)


def _orders(request: Request, wanted: Revision | None, batch: Mapping[str, HostWork]) -> dict[str, dict[str, Any]]:
    """Parameters of `roll_out` for each host."""
    mandate = _mandate(request)
    number = wanted.number if wanted else 0
    return {
        host: {"stack": request.stack, "revision": number, "mandate": mandate, "work": work}
        for host, work in batch.items()
    }


def _mandate(request: Request) -> Mandate:
    return Mandate(stack=request.stack, fence=request.fence, run=str(flow_run.id or ""))
