"""Health checks: run by us while a container starts, and given to Docker for afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stampede.blocks.docker import wait_until_healthy
from stampede.errors import Unhealthy
from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]


def wait(project: Project, monitor_s: float = 0.5, port: int | None = None) -> tuple[str, float]:
    """The verdict on `web`, and after how many seconds it came."""
    container, begun = project.container(), time.monotonic()
    found = project.docker.containers.look(container.id)
    assert found is not None
    tcp = [(address, port) for address in found.addresses.values() if port]
    spec = project.stack.services["web"]
    verdict = wait_until_healthy(project.docker, container.id, spec, monitor_s=monitor_s, tcp=tcp)
    return verdict, time.monotonic() - begun


def test_healthcheck(web: Web) -> None:
    """We do not wait a whole interval for Docker's first probe, as it does."""
    keys = """
        command: [sh, -c, "sleep 1; touch /tmp/ready; sleep 600"]
        healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 20s, timeout: 2s, retries: 4}
        """
    project = web(keys)
    said = project.inspect()["Config"]["Healthcheck"]
    assert (said["Test"], said["Interval"], said["Timeout"], said["Retries"]) == (
        ["CMD", "test", "-e", "/tmp/ready"],
        20_000_000_000,
        2_000_000_000,
        4,
    )
    verdict, took_s = wait(project)
    assert verdict == "healthy"
    assert 0.5 < took_s < 6


def test_a_healthcheck_that_never_passes_ends_with_what_it_said(web: Web) -> None:
    project = web("healthcheck: {test: 'echo not yet; exit 1', interval: 500ms, timeout: 1s, retries: 2}")
    with pytest.raises(Unhealthy, match="not yet"):
        wait(project)


def test_a_crash_ends_the_wait_with_the_last_lines(web: Web) -> None:
    project = web("command: [sh, -c, 'echo no database; exit 3']\nrestart: 'no'")
    with pytest.raises(Unhealthy, match=r"exit code 3(.|\n)*no database"):
        wait(project)
    project = web("command: [sh, -c, 'echo no luck; exit 4']")
    with pytest.raises(Unhealthy, match=r"crashed 3 times(.|\n)*no luck"):
        wait(project)


def test_healthcheck_disabled(web: Web) -> None:
    project = web("healthcheck: {disable: true}")
    assert project.inspect()["Config"]["Healthcheck"]["Test"] == ["NONE"]
    assert wait(project)[0] == "healthy"


def test_start_period(web: Web) -> None:
    """Failures within the start period are not counted against a container."""
    keys = """
        command: [sh, -c, "sleep 3; touch /tmp/ready; sleep 600"]
        healthcheck: {test: [CMD, test, -e, /tmp/ready], interval: 500ms, retries: 1, start_period: 10s}
        """
    project = web(keys)
    assert project.inspect()["Config"]["Healthcheck"]["StartPeriod"] == 10_000_000_000
    assert wait(project)[0] == "healthy"


def test_start_interval(web: Web) -> None:
    """How often we probe while it starts, on any daemon; Docker itself is told from API 1.44 on."""
    keys = """
        command: [sh, -c, "sleep 1; touch /tmp/ready; sleep 600"]
        healthcheck:
          {test: "echo x >>/tmp/probes; test -e /tmp/ready", interval: 60s, start_period: 60s, start_interval: 150ms}
        """
    project = web(keys)
    assert wait(project)[0] == "healthy"
    assert int(project.sh("wc -l </tmp/probes")) >= 3


def test_without_a_healthcheck_its_port_has_to_accept_connections(web: Web) -> None:
    project = web("command: [sh, -c, 'sleep 1.5; exec httpd -f -p 8080 -h /www']")
    verdict, took_s = wait(project, monitor_s=0.2, port=8080)
    assert verdict == "healthy"
    assert took_s > 0.5


def test_what_finished_with_0_is_finished(web: Web) -> None:
    assert wait(web("command: ['true']"))[0] == "finished"
