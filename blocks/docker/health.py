"""Waiting until a container is healthy: while it starts, we run its health check, far more often than Docker does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from stampede.blocks.docker.containers import TIMED_OUT
from stampede.blocks.docker.contract import Docker
from stampede.containers.health import CRASHES_ALLOWED, Probe, deadline_s, may_give_up, pauses_s, probe_of
from stampede.containers.restart import restarts_without_end
from stampede.errors import Cancelled, DaemonError, Transient, Unhealthy
from stampede.planning.found import FoundInstance
from stampede.stackfile.models import Service

Verdict = Literal["healthy", "finished"]
_CONNECT_TIMEOUT_S = 1.0
_LAST_LINES = 20
_LAST_STRETCH_S = 1.0  # of the time that a container has to run: nothing is asked before it is over


def wait_until_healthy(
    docker: Docker,
    container: str,
    service: Service,
    *,
    monitor_s: float = 5.0,
    tcp: Sequence[tuple[str, int]] = (),
    cancelled: threading.Event | None = None,
) -> Verdict:
    """Returns once a started container is healthy, or has finished with exit code 0 and is not restarted.

    Healthy is: its health check (the file's, else the image's) passes. Without one: it has run for `monitor_s` seconds
    and accepts connections at every address and port of `tcp`. One that has been healthy for long is so at once.
    Raises: Unhealthy, with the exit code or what the check said, and the last lines of its log; Cancelled.
    """
    start_interval = service.healthcheck.start_interval if service.healthcheck else None
    probe = probe_of(docker.containers.health_check(container), start_interval)
    watch = _Watch(docker, container, probe, monitor_s, tcp, patient=restarts_without_end(service))
    pauses = pauses_s(probe)
    while (verdict := watch.look()) is None:
        pause = probe.interval_s if probe and watch.timed_out else next(pauses)
        if 0 < watch.settles_in_s <= _LAST_STRETCH_S:
            pause = watch.settles_in_s
        if cancelled is None:
            time.sleep(pause)
        elif cancelled.wait(pause):
            raise Cancelled(f"the wait for {container[:12]} was cancelled")
    return verdict


class _Watch:
    """What has been seen of one container so far."""

    def __init__(
        self,
        docker: Docker,
        container: str,
        probe: Probe | None,
        monitor_s: float,
        tcp: Sequence[tuple[str, int]],
        *,
        patient: bool,
    ) -> None:
        self._docker, self._container, self._probe = docker, container, probe
        self._monitor_s, self._tcp, self._patient = monitor_s, tcp, patient
        self._begun = time.monotonic()
        self._failures = 0
        self._ended_with = 0
        self._said = "it has not run yet"
        self.timed_out = False
        self.settles_in_s = 0.0

    def look(self) -> Verdict | None:
        """None while nothing is decided. Raises: Unhealthy."""
        found = self._docker.containers.look(self._container)
        if found is None:
            raise Unhealthy(f"container {self._container[:12]} was removed while it was waited for")
        if found.state in ("exited", "dead"):
            if found.exit_code == 0:
                return "finished"
            raise self._unhealthy(found, f"ended with exit code {found.exit_code}")
        self._ended_with = found.exit_code or self._ended_with  # Docker says 0 while it runs again
        if found.restarts >= CRASHES_ALLOWED and not self._patient:
            how = f", at last with exit code {self._ended_with}" if self._ended_with else ""
            raise self._unhealthy(found, f"crashed {found.restarts} times{how}")
        if found.state == "running" and self._is_healthy(found):
            return "healthy"
        if found.state == "restarting":
            self._said = f"it ended with exit code {found.exit_code} and is being restarted"
        self._check_patience(found)
        return None

    def _is_healthy(self, found: FoundInstance) -> bool:
        if self._probe is None:
            return self._has_run(found) and self._accepts()
        if found.health == "healthy":
            return True
        try:
            code, output = self._docker.containers.exec_probe(self._container, self._probe.argv, self._probe.timeout_s)
        except Transient:
            raise
        except DaemonError as error:  # it ended between the look and the probe: the next look tells
            code, output = 1, error.message
        if code == 0:
            return True
        self._failures += 1
        self._said = f"its health check ended with {code}: {output.strip()[-500:]}"
        self.timed_out = code == TIMED_OUT
        return False

    def _has_run(self, found: FoundInstance) -> bool:
        ran_s = (datetime.now(UTC) - found.started_at).total_seconds() if found.started_at else 0.0
        self._said = f"it has run for {ran_s:.1f} s of {self._monitor_s:g} s without a crash"
        self.settles_in_s = self._monitor_s - ran_s
        return ran_s >= self._monitor_s

    def _accepts(self) -> bool:
        for address, port in self._tcp:
            try:
                socket.create_connection((address, port), _CONNECT_TIMEOUT_S).close()
            except OSError as error:
                self._said = f"it does not accept connections at port {port}: {error}"
                return False
        return True

    def _check_patience(self, found: FoundInstance) -> None:
        elapsed = time.monotonic() - self._begun
        if self._probe is not None and may_give_up(self._probe, elapsed, self._failures):
            raise self._unhealthy(found, f"is not healthy after {elapsed:.0f} s: {self._said}")
        if elapsed >= deadline_s(self._probe, self._monitor_s):
            raise self._unhealthy(found, f"is not healthy after {elapsed:.0f} s: {self._said}")

    def _unhealthy(self, found: FoundInstance, why: str) -> Unhealthy:
        lines = self._docker.containers.logs(self._container, tail=_LAST_LINES).decode(errors="replace")
        shown = f"; its last output:\n{lines.rstrip()}" if lines.strip() else "; it wrote nothing"
        return Unhealthy(f"{found.label} {why}{shown}", f"stampede logs {found.service} shows more")
