"""Operations. `FLOWS` are those a worker runs; those in `VERBS` are the ones that people and programs start."""

from __future__ import annotations

from typing import Any

from prefect.flows import Flow

from stampede.flows.deploy_stack import deploy_stack
from stampede.flows.plan_stack import plan_stack
from stampede.flows.remove_stack import remove_stack
from stampede.flows.restart_service import restart_service
from stampede.flows.roll_out import roll_out
from stampede.flows.rollback_stack import rollback_stack
from stampede.flows.scale_service import scale_service
from stampede.flows.survey_host import survey_host

VERBS: tuple[Flow[..., Any], ...] = (
    deploy_stack,
    plan_stack,
    scale_service,
    rollback_stack,
    restart_service,
    remove_stack,
)
HOST_STEPS: tuple[Flow[..., Any], ...] = (survey_host, roll_out)
FLOWS: dict[str, Flow[..., Any]] = {flow.name: flow for flow in (*VERBS, *HOST_STEPS)}

__all__ = ["FLOWS", "HOST_STEPS", "VERBS"]
