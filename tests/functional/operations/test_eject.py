"""A stack leaves Stampede on a real host: plain Docker Compose runs it, with its data, also after a reboot."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import docker as sdk
import pytest

from stampede.programs import Finished, run
from stampede.stackfile.reference import reference_program
from tests.functional.operations.conftest import Site, answer, free_port, until
from tests.lab.host import LabHost
from tests.lab.images import ensure_busybox

pytestmark = pytest.mark.functional
PORT = 8089

# The token is made up at the first start and kept in the volume: with an empty volume there would be another.
DB = "[ -f /data/token ] || head -c 9 /dev/urandom | base64 > /data/token; cp /data/token /www/index.html"
WEB = "wget -qO /tmp/t http://db/ && echo $(cat /run/secrets/pw) $(cat /greeting) $(cat /tmp/t) > /www/index.html"


def stack_file(app: str, port: int) -> str:
    return f"""
    name: {app}
    services:
      web:
        image: stampede-test/busybox:1
        command: ["sh", "-c", {WEB.replace("$", "$$") + "; exec httpd -f -p 8080 -h /www"!r}]
        ports: ["{port}:8080"]
        stop_grace_period: 1s
        depends_on: {{db: {{condition: service_healthy}}}}
        secrets: [pw]
        configs: [{{source: greeting, target: /greeting, mode: 0400}}]
        healthcheck: {{test: ["CMD", "wget", "-qO", "/dev/null", "http://127.0.0.1:8080/"], interval: 1s}}
        deploy: {{replicas: 2}}
      db:
        image: stampede-test/busybox:1
        command: ["sh", "-c", {DB + "; exec httpd -f -p 80 -h /www"!r}]
        stop_grace_period: 1s
        volumes: ["data:/data", "/scratch"]
        healthcheck: {{test: ["CMD", "true"], interval: 1s}}
    volumes: {{data: {{}}}}
    secrets: {{pw: {{environment: PW}}}}
    configs: {{greeting: {{content: "it costs $$5"}}}}
    """


def compose(directory: Path, *words: str) -> Finished:
    return run([reference_program(), *words], cwd=directory, timeout_s=120)


def of_project(client: sdk.DockerClient, app: str) -> dict[str, Any]:
    found = client.containers.list(
        all=True, filters={"label": f"com.docker.compose.project={app}"}, ignore_removed=True
    )
    return {str(each.name): each for each in found}


def of_stack(client: sdk.DockerClient, app: str) -> list[Any]:
    return client.containers.list(all=True, filters={"label": f"stampede.stack={app}"}, ignore_removed=True)


def test_a_stack_becomes_a_compose_project_with_its_data_and_can_be_adopted_again(
    site: Site, app: str, docker_client: sdk.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, directory = free_port(), site.root / f"{app}-out"
    monkeypatch.setenv("PW", "sesame")
    site.up(stack_file(app, port))
    page = answer(port)
    assert page.startswith("sesame it costs $5 ")

    refused = site.stampede("eject", app, "--to", directory, "--yes", check=False)
    assert (refused.code, "--replicas-to-one" in refused.err) == (6, True)
    planned = site.told("eject", app, "--to", directory, "--replicas-to-one", "--dry-run")
    assert {"secrets/pw in"} <= {" ".join(warning.split()[:2]) for warning in planned["warnings"]}
    assert (len(of_stack(docker_client, app)), directory.exists()) == (3, False)

    site.told("eject", app, "--to", directory, "--replicas-to-one", "--yes")
    assert answer(port) == page
    theirs = of_project(docker_client, app)
    assert (set(theirs), of_stack(docker_client, app)) == ({f"{app}-web-1", f"{app}-db-1"}, [])
    assert {each.attrs["HostConfig"]["RestartPolicy"]["Name"] for each in theirs.values()} == {"unless-stopped"}
    assert app not in {each["stack"] for each in site.told("ps", "--all")}

    compose(directory, "up", "-d")
    assert {name: each.id for name, each in of_project(docker_client, app).items()} == {
        name: each.id for name, each in theirs.items()
    }
    compose(directory, "down", "-v")
    compose(directory, "up", "-d", "--wait")
    until(lambda: answer(port) == page, "the same page, though `down -v` was said")

    site.told("adopt", "-f", directory / "compose.yaml", "--yes")
    assert answer(port) == page
    site.told("down", "-p", app, "--yes")


def test_a_worker_killed_in_the_middle_goes_on_with_the_ejection(
    fresh_site: Site, app: str, docker_client: sdk.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, port = fresh_site, free_port()
    monkeypatch.setenv("PW", "sesame")
    site.up(stack_file(app, port).replace("replicas: 2", "replicas: 1"))
    page, directory = answer(port), site.root / "out"
    run_id = site.told("eject", app, "--to", directory, "--yes", "--detach")["run"]["id"]
    for moment in (directory.exists, lambda: of_project(docker_client, app)):
        until(moment, "the ejection has come so far")
        os.kill(site.pid("worker") or 0, signal.SIGKILL)
        until(lambda: site.pid("worker"), "the worker is back")
    site.told("follow", run_id)
    assert (answer(port), of_stack(docker_client, app)) == (page, [])
    assert set(of_project(docker_client, app)) == {f"{app}-web-1", f"{app}-db-1"}


def test_a_project_that_cannot_start_leaves_the_stack_serving(
    site: Site, app: str, docker_client: sdk.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, directory = free_port(), site.root / f"{app}-out"
    monkeypatch.setenv("PW", "sesame")
    # Only Stampede's instances have the names that this one needs.
    text = (
        stack_file(app, port).replace("replicas: 2", "replicas: 1").replace("ports:", "hostname: fixed\n        ports:")
    )
    site.up(text)
    page = answer(port)
    blocker = docker_client.containers.create("stampede-test/busybox:1", name=f"{app}-web-1")
    try:
        failed = site.stampede("eject", app, "--to", directory, "--yes", check=False)
    finally:
        blocker.remove()
    assert "runs as before" in failed.err, failed.err
    assert (failed.code, directory.exists()) == (1, False)
    assert answer(port) == page
    assert of_project(docker_client, app) == {}
    site.told("down", "-p", app, "--yes")


@pytest.fixture
def lab_host() -> Iterator[LabHost]:
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    host = LabHost(root / "disk")
    try:
        yield host
    finally:
        host.remove()
        shutil.rmtree(root, ignore_errors=True)


def test_after_a_reboot_without_stampede_docker_alone_brings_the_app_back(lab_host: LabHost) -> None:
    host = lab_host
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STAMPEDE_"))}
    state = {"STAMPEDE_STATE_DIR": str(host.disk / "state"), "STAMPEDE_RUN_DIR": "/run/stampede", "STAMPEDE_HOST": "h1"}
    env = {**kept, **state, "PW": "sesame"}
    stampede = [sys.executable, "-m", "stampede"]

    def get() -> str:
        return host.run(["curl", "-sf", "-m", "5", f"http://127.0.0.1:{PORT}/"], env, check=False).out

    def ids() -> dict[str, str]:
        with host.docker() as client:
            return {str(each.name): str(each.id) for each in client.containers.list()}

    host.boot()
    host.start(["dockerd"], env)
    with host.docker() as client:
        ensure_busybox(client)
    file, directory = host.disk / "compose.yaml", host.disk / "out"
    file.write_text(dedent(stack_file("shop", PORT)))
    host.run([*stampede, "server", "start"], env, timeout_s=200)
    host.run([*stampede, "up", "-f", file], env, timeout_s=200)
    page = get()
    assert page.startswith("sesame ")
    eject = [*stampede, "eject", "shop", "--to", str(directory), "--replicas-to-one", "--yes", "--json"]
    assert json.loads(host.run(eject, env, timeout_s=200).out)["changed"]
    before = ids()

    host.cut_power()
    shutil.rmtree(host.disk / "state")
    host.boot()
    host.start(["dockerd"], env)
    until(lambda: get() == page, "the app answers with its data, its secret and its config")
    assert ids() == before
    host.run([reference_program(), "-f", directory / "compose.yaml", "up", "-d"], env)
    assert ids() == before
    assert "stampede" not in host.run(["ps", "axww", "-o", "args"], env).out.replace(str(host.disk), "")
