"""Adopt: a running Compose project of the same name becomes a stack, with its data. The originals are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from prefect import flow
from prefect.runtime import flow_run

from stampede.errors import BadInput, UpdateFailed
from stampede.flows.converge import Request, carry_out, doubt_of, make_plan, survey, wanted_revision
from stampede.flows.survey_host import Survey
from stampede.flows.take_over import survey_project, take_over
from stampede.planning.adoption import ComposeProject, Takeover, after_takeover, takeover_of, with_takeovers
from stampede.planning.changes import Outcome
from stampede.tasks.artifacts import publish_outcome, publish_plan
from stampede.tasks.events import announced
from stampede.tasks.locks import stack_lock
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_hosts
from stampede.tasks.stack_state import draft_from_candidate, read_head, record_serving, record_wanted


@flow(name="adopt-stack", flow_run_name="adopt {stack}", persist_result=True)
async def adopt_stack(
    stack: str,
    candidate: str,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards the stack serves in place of the Compose project, with its named volumes; what it was is kept.

    Images are there and the plan is made before anything is stopped. Run again, it goes on where it was.
    Raises: Foreign for what is in the way and is not of this project, UpdateFailed, StackLocked.
    """
    if not candidate:
        raise BadInput("adopt needs a stack file", "stampede adopt -f compose.yaml")
    async with stack_lock(stack, who=requested_by, why=why or "adopt", wait_s=wait_for_lock_s) as lock:
        draft = await draft_from_candidate(stack, candidate)
        request = Request(stack=stack, fence=lock.fence, draft=draft, candidate=candidate, dry_run=dry_run)
        return await adopt(replace(request, by=requested_by, why=why or "adopt"))


@announced
async def adopt(request: Request) -> Outcome:
    """The plan, published; then, unless this is a dry run, the takeover and the stack in its place."""
    surveys = await survey(request)
    wanted = await wanted_revision(request, surveys)
    assert wanted is not None, "there is a draft"
    projects = await survey_projects(request.stack, surveys)
    takeovers = {
        host: takeover_of(project, wanted.definition, surveys[host].found) for host, project in projects.items()
    }
    after = surveys_after(request.stack, surveys, takeovers)
    plan = await make_plan(request, wanted, after, doubt_of(await read_head(request.stack)))
    shown = with_takeovers(plan, takeovers, tuple(projects.values()))
    await publish_plan(shown, wanted.number)
    if request.dry_run:
        return Outcome.of_plan(shown, wanted.number, dry_run=True)
    await record_wanted(request.stack, wanted, fence=request.fence, changes=not shown.is_empty)
    await take_over_on_hosts(request, takeovers)
    try:
        warnings = await carry_out(request, wanted, plan)
    except UpdateFailed as failure:
        raise type(failure)(failure.message, how_to_go_back(request.stack)) from failure
    outcome = Outcome.of_plan(shown, wanted.number, warnings=warnings)
    await record_serving(request.stack, wanted, fence=request.fence)
    await publish_outcome(outcome)
    return outcome


async def survey_projects(stack: str, surveys: Mapping[str, Survey]) -> dict[str, ComposeProject]:
    """What each host has of the Compose project."""
    asked = {host: {"stack": stack} for host in surveys}
    return await on_hosts(asked, survey_project, step=f"look at the Compose project {stack}", reuse=False)


def surveys_after(stack: str, surveys: Mapping[str, Survey], takeovers: Mapping[str, Takeover]) -> dict[str, Survey]:
    """What the hosts will look like once the project has made way."""
    return {
        host: survey.model_copy(update={"found": after_takeover(survey.found, takeovers[host], stack)})
        for host, survey in surveys.items()
    }


async def take_over_on_hosts(request: Request, takeovers: Mapping[str, Takeover]) -> None:
    """Afterwards the project has made way on every host."""
    mandate = Mandate(stack=request.stack, fence=request.fence, run=str(flow_run.id or ""))
    orders = {
        host: {"stack": request.stack, "mandate": mandate, "takeover": takeover}
        for host, takeover in takeovers.items()
        if not takeover.is_empty
    }
    await on_hosts(orders, take_over, step=f"take over {request.stack}")


def how_to_go_back(stack: str) -> str:
    """What to do when the stack does not come up in place of the project."""
    back = f"stampede down -p {stack}, then docker compose up -d --force-recreate"
    return f"stampede adopt goes on from here; to go back: {back}"
