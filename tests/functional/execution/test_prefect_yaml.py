"""`prefect deploy --all` registers what prefect.yaml lists, on a real server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from stampede import control_plane
from stampede.programs import run
from tests.functional.execution.conftest import Plane

pytestmark = pytest.mark.functional
ROOT = Path(__file__).parents[3]


def test_every_deployment_of_prefect_yaml_is_registered(plane: Plane) -> None:
    url, auth = control_plane.connect(plane.places)
    own = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": auth, "PREFECT_HOME": str(plane.places.run)}
    prefect = Path(sys.executable).with_name("prefect")
    run([prefect, "--no-prompt", "deploy", "--all"], cwd=ROOT, env={**plane.environment, **own}, timeout_s=300)
    listed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for entry in listed:
        flow = entry["entrypoint"].rpartition(".")[2].replace("_", "-")
        found = plane.http.get(f"/deployments/name/{flow}/any").raise_for_status().json()
        assert found["entrypoint"] == entry["entrypoint"]
        assert found["work_queue_name"] == "control"
        assert found["parameter_openapi_schema"]["properties"], flow
