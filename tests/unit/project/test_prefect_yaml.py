"""prefect.yaml names flows, pool and queue as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint

from stampede.deployments.host_worker import CONTROL_QUEUE, POOL
from stampede.flows import VERBS

ROOT = Path(__file__).parents[3]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["entrypoint"])
def test_every_entrypoint_is_a_verb(deployment: dict[str, Any]) -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    assert flow.name in {verb.name for verb in VERBS}


def test_every_verb_is_listed() -> None:
    assert len(DEPLOYMENTS) == len(VERBS)


def test_every_deployment_is_run_by_the_control_worker() -> None:
    for deployment in DEPLOYMENTS:
        assert deployment["work_pool"] == {"name": POOL, "work_queue_name": CONTROL_QUEUE}
