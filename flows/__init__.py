"""Operations. `FLOWS` are those a worker runs; those in `VERBS` are the ones that people and programs start."""

from __future__ import annotations

from typing import Any

from prefect.flows import Flow

from stampede.flows.adopt_stack import adopt_stack
from stampede.flows.deploy_stack import deploy_stack
from stampede.flows.eject_stack import eject_stack
from stampede.flows.move_out import forget_ejection, move_back, move_out, survey_ejection
from stampede.flows.plan_stack import plan_stack
from stampede.flows.rebuild_server import rebuild_server
from stampede.flows.recall_host import recall_host
from stampede.flows.remove_stack import remove_stack
from stampede.flows.restart_service import restart_service
from stampede.flows.roll_out import roll_out
from stampede.flows.rollback_stack import rollback_stack
from stampede.flows.scale_service import scale_service
from stampede.flows.survey_host import survey_host
from stampede.flows.take_over import survey_project, take_over

VERBS: tuple[Flow[..., Any], ...] = (
    deploy_stack,
    plan_stack,
    scale_service,
    rollback_stack,
    restart_service,
    remove_stack,
    adopt_stack,
    eject_stack,
    rebuild_server,
)
HOST_STEPS: tuple[Flow[..., Any], ...] = (
    survey_host,
    roll_out,
    recall_host,
    survey_project,
    take_over,
    survey_ejection,
    move_out,
    move_back,
    forget_ejection,
)
FLOWS: dict[str, Flow[..., Any]] = {flow.name: flow for flow in (*VERBS, *HOST_STEPS)}

__all__ = ["FLOWS", "HOST_STEPS", "VERBS"]
