"""An installation on a host with systemd: its units are started, kept up, ordered at boot and taken away by systemd."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stampede.control_plane.systemd import BOOT, CONTROL, TRAFFIC, UNITS
from stampede.programs import Finished
from tests.functional.operations.conftest import until
from tests.lab.debian_host import CHECKOUT
from tests.lab.images import ensure_busybox
from tests.lab.systemd_host import SystemdHost

pytestmark = [pytest.mark.functional, pytest.mark.debian, pytest.mark.timeout(900)]
PORT = 8088
STACK_FILE = f"""
    name: shop
    services:
      web:
        image: stampede-test/busybox:1
        command: [sh, -c, "cat /run/secrets/pw > /www/index.html; exec httpd -f -p 8080 -h /www"]
        init: true
        ports: ["{PORT}:8080"]
        stop_grace_period: 1s
        secrets: [pw]
    secrets:
      pw: {{environment: PW}}
    """
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(CHECKOUT), "PW": "sesame", "NO_COLOR": "1"}
CONTROL_UNITS = [f"{name}.service" for name in CONTROL]


@pytest.fixture
def host() -> Iterator[SystemdHost]:
    """A host that has booted, with Docker as scripts/install leaves it, and a busybox image."""
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    own = SystemdHost(root / "disk")
    try:
        own.boot()
        own.systemctl("enable", "--quiet", "--now", "docker")
        with own.docker() as client:
            ensure_busybox(client)
        yield own
    finally:
        own.remove()
        shutil.rmtree(root)


def stampede(host: SystemdHost, *words: str, check: bool = True) -> Finished:
    done = host.run([sys.executable, "-m", "stampede", *words], ENVIRONMENT, timeout_s=200, check=False)
    assert done.code == 0 or not check, (done.out, done.err, host.log("--unit=stampede-*"))
    return done


def status(host: SystemdHost) -> Any:
    return json.loads(stampede(host, "server", "status", "--json", check=False).out)


def main_pid(host: SystemdHost, unit: str) -> int:
    return int(host.systemctl("show", "--property=MainPID", "--value", unit))


def page(host: SystemdHost) -> str:
    return host.run(["curl", "-sf", "-m", "5", f"http://127.0.0.1:{PORT}/"], ENVIRONMENT, check=False).out.strip()


def active_since(host: SystemdHost, unit: str) -> int:
    """Microseconds after the boot of the machine."""
    return int(host.systemctl("show", "--property=ActiveEnterTimestampMonotonic", "--value", unit))


def test_systemd_keeps_the_control_plane_and_a_rebooted_host_serving(host: SystemdHost) -> None:
    stampede(host, "server", "stop")  # nothing was ever started
    stampede(host, "server", "start")
    units = [f"{UNITS}/{name}.service" for name in (*CONTROL, *TRAFFIC, *BOOT)]
    verified = host.run(["systemd-analyze", "verify", *units], ENVIRONMENT, check=False)
    assert (verified.code, verified.err) == (0, "")
    now = status(host)
    assert now["healthy"]
    assert {each["name"]: each["pid"] for each in now["processes"]} == {
        name.removeprefix("stampede-"): main_pid(host, name) for name in CONTROL
    }
    stampede(host, "server", "start")
    assert status(host) == now

    (host.disk / "upper/root/compose.yaml").write_text(dedent(STACK_FILE))
    stampede(host, "up", "-f", "/root/compose.yaml")
    assert page(host) == "sesame"

    server, haproxy = main_pid(host, "stampede-server"), main_pid(host, "stampede-haproxy")
    for pid in (server, haproxy, main_pid(host, "stampede-worker")):
        host.run(["kill", "-9", str(pid)], ENVIRONMENT)
    until(lambda: status(host)["healthy"], "systemd brings server and worker back")
    assert main_pid(host, "stampede-server") != server
    until(lambda: page(host) == "sesame", "systemd brings the balancer back")

    host.shut_down()
    host.boot()
    until(lambda: page(host) == "sesame", "app, secret and balancer are back")
    until(lambda: status(host)["healthy"], "so are server and worker")
    assert host.systemctl("--failed", "--quiet") == ""
    order = ["stampede-boot", "docker", "stampede-resume"]
    assert sorted(order, key=lambda unit: active_since(host, unit)) == order
    assert active_since(host, "stampede-boot") < active_since(host, "stampede-haproxy")

    stampede(host, "server", "start", "--port", "4300")
    assert status(host) | {"processes": []} == {"url": "http://127.0.0.1:4300/api", "healthy": True, "processes": []}
    stampede(host, "ps")

    stampede(host, "server", "stop")
    assert host.systemctl("is-active", *CONTROL_UNITS, check=False).split() == ["inactive", "inactive"]
    assert host.systemctl("is-enabled", *CONTROL_UNITS, check=False).split() == ["disabled", "disabled"]
    assert page(host) == "sesame"
    stampede(host, "server", "stop", "--everything")
    assert host.systemctl("list-units", "--quiet", "--plain", "--state=running", "stampede-*") == ""
    assert page(host) == ""

    stampede(host, "server", "start")
    until(lambda: page(host) == "sesame", "a start opens what a stop has closed")
    assert host.systemctl("is-enabled", *TRAFFIC, check=False).split() == ["enabled"]

    host.systemctl("disable", "--now", "--quiet", *TRAFFIC)
    changed = json.loads(stampede(host, "up", "-f", "/root/compose.yaml", "--json").out)
    assert [change["reason"] for change in changed["changes"]] == ["the balancer does not run"]
    until(lambda: page(host) == "sesame", "the port is open again")
    assert host.systemctl("is-enabled", *TRAFFIC, check=False).split() == ["enabled"]
