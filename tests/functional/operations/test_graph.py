"""The graph that Prefect's UI draws of a run: the verb, what its hosts ran for it, and their side effects by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.operations.conftest import Site, until

pytestmark = pytest.mark.functional
STACK = """
    services:
      web: {image: "stampede-test/busybox:1", command: [sleep, "99"], stop_grace_period: 1s, volumes: ["data:/data"]}
    volumes: {data: {}}
"""


def test_the_graph_of_a_deploy_shows_host_flows_and_tasks_with_names_a_person_understands(site: Site, app: str) -> None:
    outcome = site.told("up", "-p", app, "-f", site.file(STACK))

    with site.http() as api:

        def nodes(run_id: str) -> dict[str, Any]:
            graph = api.get(f"/flow_runs/{run_id}/graph-v2").raise_for_status().json()
            return {node["label"]: node for _, node in graph["nodes"]}

        until(lambda: f"record what serves of {app}" in nodes(outcome["run"]["id"]), "the last step of the verb")
        verb = nodes(outcome["run"]["id"])
        roll_out = verb[f"roll-out / roll out {app} (part 1)"]
        assert (roll_out["kind"], roll_out["state_type"]) == ("flow-run", "COMPLETED")

        (instance,) = site.told("ps", "-p", app)
        container = instance["name"]
        until(lambda: f"ensure container {container}" in nodes(roll_out["id"]), "the container's task")
        on_the_host = nodes(roll_out["id"])
        assert {f"ensure network {app}_default", f"ensure volume {app}_data"} <= on_the_host.keys()
        assert {node["state_type"] for node in on_the_host.values()} == {"COMPLETED"}
    site.told("down", "-p", app, "--volumes", "--yes")
