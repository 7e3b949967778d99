"""Plan: what a deploy would change, and why. Changes nothing that runs, takes no lock; may pull or build images."""

from __future__ import annotations

from prefect import flow

from stampede.flows.converge import Request, converge
from stampede.flows.deploy_stack import next_draft
from stampede.planning.changes import Outcome


@flow(name="plan-stack", flow_run_name="plan {stack}", persist_result=True)
async def plan_stack(stack: str, candidate: str = "", images: dict[str, str] | None = None) -> Outcome:
    """The changes that `deploy-stack` would make now. Images are resolved, so a rebuilt tag is noticed."""
    draft, candidate = await next_draft(stack, candidate, images or {})
    return await converge(Request(stack=stack, fence=0, draft=draft, candidate=candidate, dry_run=True))
