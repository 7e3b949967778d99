"""Triggering verbs over HTTP, as docs/api.md says, with httpx and with curl; metrics and events of what they do."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker as sdk
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stampede import control_plane
from stampede.client import Client
from stampede.programs import run
from stampede.results import read_result
from tests.functional.operations.conftest import Site, answer, free_port, until

pytestmark = pytest.mark.functional
API_DOC = Path(__file__).parents[3] / "docs/api.md"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def stack_file(app: str, port: int, replicas: int = 1, said: str = "one") -> str:
    return f"""
    name: {app}
    services:
      web:
        image: stampede-test/busybox:1
        command: ["sh", "-c", "echo {said} > /www/index.html; exec httpd -f -p 8080 -h /www"]
        ports: ["127.0.0.1:{port}:8080"]
        stop_grace_period: 1s
        deploy: {{replicas: {replicas}}}
    """


def deployment(api: httpx.Client, name: str) -> Any:
    found = api.get(f"/deployments/name/{name}")
    return found.json() if found.status_code == 200 else None


def wait(api: httpx.Client, run_id: str) -> Any:
    while (found := api.get(f"/flow_runs/{run_id}").raise_for_status().json())["state_type"] not in FINAL:
        time.sleep(0.1)
    return found


def events(api: httpx.Client, app: str) -> list[dict[str, Any]]:
    since = datetime.now(UTC) - timedelta(hours=1)
    body = {"filter": {"resource": {"id": [f"stampede.stack.{app}"]}, "occurred": {"since": since.isoformat()}}}
    found: list[dict[str, Any]] = api.post("/events/filter", json=body).raise_for_status().json()["events"]
    return found


def test_a_stack_is_changed_by_a_post_to_its_own_deployments(
    site: Site, app: str, docker_client: sdk.DockerClient
) -> None:
    port = free_port()
    assert site.up(stack_file(app, port))["changed"]
    with site.http() as api:
        scale = deployment(api, f"scale-service/{app}")
        assert scale["parameters"] == {"stack": app, "replicas": {"web": 1}}
        deploy = deployment(api, f"deploy-stack/{app}")
        assert deploy["parameters"] == {"stack": app}

        wrong = api.post(f"/deployments/{deploy['id']}/create_flow_run", json={"parameters": {"images": "web"}})
        assert (wrong.status_code, "images" in wrong.text) == (409, True)

        docker_client.images.get("stampede-test/busybox:1").tag("stampede-test/ops", tag=app)
        try:
            body = {
                "parameters": {"images": {"web": f"stampede-test/ops:{app}"}, "why": "a release"},
                "idempotency_key": app,
            }
            made = api.post(f"/deployments/{deploy['id']}/create_flow_run", json=body).raise_for_status().json()
            again = api.post(f"/deployments/{deploy['id']}/create_flow_run", json=body).raise_for_status().json()
            assert again["id"] == made["id"]
            outcome = read_result(api, wait(api, made["id"]))
        finally:
            docker_client.images.remove(f"stampede-test/ops:{app}")
        assert outcome["revision"] == 2

        body = {"parameters": {"revision": 1, "why": "as it was"}}
        made = api.post(f"/deployments/{deploy['id']}/create_flow_run", json=body).raise_for_status().json()
        assert read_result(api, wait(api, made["id"]))["revision"] == 3
        with Client(*control_plane.connect(site.places)) as client:
            entry = client.history(app)[0]
            assert (entry.revision, entry.why, entry.images["web"]) == (3, "as it was", "stampede-test/busybox:1")
            assert client.deploy(app, revision=2, why="from Python").revision == 4
            assert client.history(app)[0].images["web"] == f"stampede-test/ops:{app}"
            assert client.deploy(app, revision=1).revision == 5

        made = api.post(
            f"/deployments/{scale['id']}/create_flow_run", json={"parameters": {"replicas": {"web": 2}}}
        ).json()
        assert read_result(api, wait(api, made["id"]))["revision"] == 6
        assert deployment(api, f"scale-service/{app}")["parameters"]["replicas"] == {"web": 2}

        until(lambda: {"stampede.deploy.finished", "stampede.scale.finished"} <= names(api, app), "events")
        finished = next(e for e in events(api, app) if e["event"] == "stampede.scale.finished")
        assert f"prefect.flow-run.{made['id']}" in [each["prefect.resource.id"] for each in finished["related"]]

    site.told("down", "-p", app, "--yes")
    with site.http() as api:
        assert deployment(api, f"deploy-stack/{app}") is None
        assert deployment(api, "deploy-stack/any") is not None


def names(api: httpx.Client, app: str) -> set[str]:
    return {each["event"] for each in events(api, app)}


def test_the_commands_of_the_api_documentation_work_as_they_stand(
    site: Site, app: str, docker_client: sdk.DockerClient, tmp_path: Path
) -> None:
    site.up(stack_file(app, free_port()))
    image = docker_client.images.get("stampede-test/busybox:1")
    image.tag("stampede-test/ops", tag=app)
    section = API_DOC.read_text().partition("## With curl")[2].partition("## With Python")[0]
    script = "\n".join(line.removeprefix("    ") for line in section.splitlines() if line.startswith("    "))
    for written, here in {
        "http://127.0.0.1:4200/api": control_plane.connect(site.places)[0],
        "/var/lib/stampede": str(site.places.state),
        "registry.example/shop/web:1.5": f"stampede-test/ops:{app}",
        "release-1.5": app,
        "deploy-stack/shop": f"deploy-stack/{app}",
        '"shop"': f'"{app}"',
        "stampede follow": f"{sys.executable} -m stampede follow",
    }.items():
        assert written in script
        script = script.replace(written, here)
    path = f"{_folder_of_recording_curl(tmp_path)}:{os.environ['PATH']}"
    try:
        done = run(["bash", "-euo", "pipefail", "-c", script], env={**site.environment, "PATH": path}, timeout_s=120)
    finally:
        docker_client.images.remove(f"stampede-test/ops:{app}")
    outcome = json.loads(done.out[done.out.index("{") :])
    assert (outcome["stack"], outcome["revision"], outcome["run"]["url"].startswith("http")) == (app, 2, True)
    arguments = (tmp_path / "arguments").read_text()
    assert "create_flow_run" in arguments
    assert (site.places.server / "password").read_text().strip() not in arguments


def _folder_of_recording_curl(folder: Path) -> Path:
    """A folder with a `curl` that writes its arguments down and becomes the real one."""
    program = folder / "curl"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{folder}/arguments\nexec {shutil.which("curl")} "$@"\n')
    program.chmod(0o755)
    return folder


def react_by_running(api: httpx.Client, app: str, event: str, target: str) -> str:
    """An automation as in docs/events.md; its id."""
    body = {
        "name": f"{app} {event}",
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "expect": [event],
            "match": {"prefect.resource.id": f"stampede.stack.{app}"},
            "threshold": 1,
            "within": 0,
        },
        "actions": [{"type": "run-deployment", "source": "selected", "deployment_id": target}],
    }
    return str(api.post("/automations/", json=body).raise_for_status().json()["id"])


def test_a_crash_is_an_event_and_what_runs_is_in_the_metrics(
    site: Site, app: str, docker_client: sdk.DockerClient
) -> None:
    port = free_port()
    site.up(stack_file(app, port, replicas=2).replace("deploy:", "restart: always\n        deploy:"))
    assert answer(port) == "one\n"

    with site.http() as api:
        until(lambda: "stampede.deploy.finished" in names(api, app), "the deploy's event")
        assert "stampede.instance.died" not in names(api, app)
        plan = deployment(api, f"plan-stack/{app}")["id"]
        automation = react_by_running(api, app, "stampede.instance.died", plan)
        victim = docker_client.containers.list(filters={"label": f"stampede.stack={app}"})[0]
        run(["kill", "-9", str(victim.attrs["State"]["Pid"])])
        until(lambda: "stampede.instance.died" in names(api, app), "the crash's event")
        (died,) = [each for each in events(api, app) if each["event"] == "stampede.instance.died"]
        assert (died["payload"]["service"], died["payload"]["exit_code"]) == ("web", 137)
        started = {"deployments": {"id": {"any_": [plan]}}}
        until(lambda: api.post("/flow_runs/count", json=started).json() >= 1, "the automation's run")
        api.delete(f"/automations/{automation}").raise_for_status()

    def metrics() -> dict[tuple[str, ...], float]:
        text = httpx.get(f"http://127.0.0.1:{site.metrics_port}/metrics").raise_for_status().text
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        ours = [s for s in samples if s.labels.get("stack", app) == app]
        return {(s.name, *sorted(str(value) for value in s.labels.values())): s.value for s in ours}

    until(lambda: metrics().get(("stampede_instances", *sorted([app, "web", "running", "none"]))) == 2, "instances")
    found = metrics()
    assert found["stampede_docker_up",] == found["stampede_balancer_up",] == 1
    assert found["stampede_instance_restarts_total", *sorted([app, "web", str(victim.name)])] == 1
    assert found["stampede_change_success", *sorted([app, "deploy"])] == 1
    assert found["stampede_change_duration_seconds", *sorted([app, "deploy"])] > 0
    sessions = [value for key, value in found.items() if key[0] == "stampede_balancer_sessions_total"]
    assert sum(sessions) >= 1
