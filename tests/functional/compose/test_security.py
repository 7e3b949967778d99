"""Isolation: capabilities, namespaces, control groups, sysctls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]
NET_ADMIN, CHOWN = 1 << 12, 1 << 0
TWO = """
    services:
      web: {{image: "stampede-test/busybox:1", command: [sleep, '600'], stop_grace_period: 1s{web}}}
      aside: {{image: "stampede-test/busybox:1", command: [sleep, '601'], stop_grace_period: 1s{aside}}}
    """


def test_capabilities(web: Web) -> None:
    project = web("cap_add: [NET_ADMIN]\ncap_drop: [CHOWN]")
    effective = int(project.sh("awk '/CapEff/ {print $2}' /proc/1/status"), 16)
    assert effective & NET_ADMIN
    assert not effective & CHOWN


def test_privileged(web: Web) -> None:
    """Not started: a test machine may itself lack capabilities that a privileged container is to get."""
    assert web("privileged: true", start=False).host_config()["Privileged"] is True


def test_security_options(web: Web) -> None:
    project = web("security_opt: ['no-new-privileges:true', 'seccomp:unconfined']")
    assert project.sh("awk '/NoNewPrivs/ {print $2}' /proc/1/status") == "1"
    assert project.sh("awk '/^Seccomp:/ {print $2}' /proc/1/status") == "0"


def test_sysctls(web: Web) -> None:
    project = web("sysctls: {net.core.somaxconn: 1234}")
    assert project.sh("cat /proc/sys/net/core/somaxconn") == "1234"


def test_control_groups(web: Web) -> None:
    project = web("cgroup: host\ncgroup_parent: stampede-test")
    assert "stampede-test" in project.sh("cat /proc/1/cgroup")
    assert project.host_config()["CgroupnsMode"] == "host"


def namespace(project: Project, kind: str, service: str = "web") -> str:
    return project.sh(f"readlink /proc/1/ns/{kind}", service)


def test_ipc(project: Project) -> None:
    project.up(TWO.format(web=", ipc: shareable", aside=", ipc: 'service:web'"))
    assert namespace(project, "ipc") == namespace(project, "ipc", "aside")


def test_ipc_of_the_host(web: Web) -> None:
    assert namespace(web("ipc: host"), "ipc") == str(Path("/proc/self/ns/ipc").readlink())


def test_pid(project: Project) -> None:
    project.up(TWO.format(web="", aside=", pid: 'service:web'"))
    assert "sleep 600" in project.sh("ps", "aside")


def test_pid_of_the_host(web: Web) -> None:
    project = web("pid: host")
    assert project.sh("readlink /proc/self/ns/pid") == str(Path("/proc/self/ns/pid").readlink())


def test_uts_and_user_namespaces(web: Web) -> None:
    project = web("uts: host\nuserns_mode: host")
    assert namespace(project, "uts") == str(Path("/proc/self/ns/uts").readlink())
    assert project.host_config()["UsernsMode"] == "host"


def test_runtime(web: Web) -> None:
    assert web("runtime: runc").host_config()["Runtime"] == "runc"
