"""Without the control plane: what crashes comes back, and a host that lost its power serves again after its boot."""

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

import docker as sdk
import pytest
from docker.models.containers import Container

from stampede.control_plane import systemd
from stampede.control_plane.services import read_env
from stampede.places import Places
from stampede.programs import run
from tests.functional.operations.conftest import Site, answer, free_port, until
from tests.lab.host import LabHost
from tests.lab.images import ensure_busybox

pytestmark = pytest.mark.functional
PORT = 8088


def stack_file(app: str, port: int) -> str:
    return f"""
    name: {app}
    services:
      web:
        image: stampede-test/busybox:1
        command:
          - sh
          - -c
          - echo $$(cat /run/secrets/pw) $$(hostname) > /www/index.html; exec httpd -f -p 8080 -h /www
        ports: ["{port}:8080"]
        stop_grace_period: 1s
        secrets: [pw]
        deploy: {{replicas: 2}}
      always:
        image: stampede-test/busybox:1
        command: ["sleep", "100000"]
        init: true
        restart: always
    secrets:
      pw: {{environment: PW}}
    """


def test_without_server_and_worker_a_crash_is_mended_and_balancing_goes_on(
    fresh_site: Site, app: str, docker_client: sdk.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, port = fresh_site, free_port()
    monkeypatch.setenv("PW", "sesame")
    site.up(stack_file(app, port).replace("stop_grace_period: 1s", "restart: always"))
    # As after a crash of the whole control plane: nobody brings server or worker back.
    for name in ("supervisor", "worker", "server"):
        os.kill(site.pid(name) or 0, signal.SIGKILL)
    until(lambda: not (site.pid("worker") or site.pid("server")), "server and worker are dead")

    web = docker_client.containers.list(filters={"label": [f"stampede.stack={app}", "stampede.service=web"]})
    assert len({answer(port) for _ in range(8)}) == 2
    run(["kill", "-9", str(web[0].attrs["State"]["Pid"])])
    until(lambda: restarts(web[0]) == 1, "Docker starts it again")
    until(lambda: len({answer(port) for _ in range(8)} - {""}) == 2, "both are balanced to again")
    assert answer(port).startswith("sesame ")
    assert site.pid("haproxy")


def restarts(container: Container) -> int:
    container.reload()
    return int(container.attrs["RestartCount"])


@pytest.fixture
def lab_host() -> Iterator[LabHost]:
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    host = LabHost(root / "disk")
    try:
        yield host
    finally:
        host.remove()
        shutil.rmtree(root, ignore_errors=True)


def environment(host: LabHost, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STAMPEDE_"))}
    return kept | {
        "STAMPEDE_STATE_DIR": str(host.disk / "state"),
        "STAMPEDE_RUN_DIR": "/run/stampede",
        "STAMPEDE_HOST": "h1",
        **more,
    }


def unit(name: str, host: LabHost) -> tuple[list[str], dict[str, str]]:
    """What systemd would run for this unit, and with which environment."""
    places = Places(host.disk / "state", Path("/run/stampede"))
    argv: list[str] = []
    env = {"PATH": os.environ["PATH"]}
    for line in systemd.rendered(name, places).splitlines():
        key, _, value = line.partition("=")
        if key == "ExecStart":
            argv = value.split()
        elif key == "Environment":
            env |= dict(word.split("=", 1) for word in value.split())
        elif key == "EnvironmentFile":
            env |= read_env(Path(value))
    return argv, env


def test_a_host_that_lost_its_power_serves_again_with_its_boot_units_alone(lab_host: LabHost) -> None:
    host = lab_host
    host.boot()
    host.start(["dockerd"], environment(host))
    with host.docker() as client:
        ensure_busybox(client)
    stampede = [sys.executable, "-m", "stampede"]
    file = host.disk / "compose.yaml"
    file.write_text(dedent(stack_file("shop", PORT)))
    host.run([*stampede, "server", "start"], environment(host), timeout_s=200)
    done = host.run([*stampede, "up", "-f", file, "--json"], environment(host, PW="sesame"), timeout_s=200)
    assert json.loads(done.out)["revision"] == 1
    assert get(host).startswith("sesame ")
    before = containers(host)
    host.run(["test", "-d", "/run/stampede/files/shop"], environment(host))

    host.cut_power()
    host.boot()
    assert host.run(["test", "-e", "/run/stampede"], environment(host), check=False).code == 1
    host.run(*unit("stampede-boot", host))
    host.start(["dockerd"], environment(host))
    assert containers(host) <= before
    host.start(*unit("stampede-haproxy", host))
    host.run(*unit("stampede-resume", host))

    until(lambda: get(host).startswith("sesame "), "the app, its secret and the balancer")
    assert containers(host) == before
    until(lambda: len({get(host) for _ in range(8)} - {""}) == 2, "both replicas")
    assert "stampede.deployments" not in host.run(["ps", "axww", "-o", "args"], environment(host)).out


def containers(host: LabHost) -> set[str | None]:
    """What runs on the dockerd inside, which is waited for."""
    with host.docker() as client:
        return {each.id for each in client.containers.list()}


def get(host: LabHost) -> str:
    """What the balancer inside answers; "" for nothing."""
    return host.run(["curl", "-sf", "-m", "5", f"http://127.0.0.1:{PORT}/"], environment(host), check=False).out
