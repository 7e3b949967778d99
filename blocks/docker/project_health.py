"""Waiting until a Compose project runs as a whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping

from stampede.blocks.docker.contract import Docker
from stampede.containers.health import deadline_s, probe_of
from stampede.errors import Cancelled, Unhealthy
from stampede.planning.found import ForeignContainer

_PAUSE_S = 0.3
_LAST_LINES = 20


def wait_until_project_is_healthy(
    docker: Docker,
    project: str,
    replicas: Mapping[str, int],
    jobs: Collection[str],
    *,
    settle_s: float,
    cancelled: threading.Event | None = None,
) -> None:
    """Returns once each service has its containers, and they are healthy or have run for `settle_s` without a crash.

    Those of `jobs` have ended with exit code 0. Docker's own word on health counts.
    Raises: Unhealthy, with the last lines of the log; Cancelled.
    """
    stop, began = cancelled or threading.Event(), time.monotonic()
    patience_s, patience_of = 0.0, -1
    well_since: float | None = None
    while True:
        found = docker.projects.look(project).containers
        _refuse_failed(docker, found)
        pending = [*_missing(found, replicas), *(c.name for c in found if not _is_well(c, jobs))]
        now = time.monotonic()
        well_since = None if pending else (well_since or now)
        if well_since is not None and (now - well_since >= settle_s or all(c.health == "healthy" for c in found)):
            return
        if patience_of != len(found):
            patience_s, patience_of = _patience_s(docker, found, settle_s), len(found)
        if now - began > patience_s:
            raise Unhealthy(f"{', '.join(sorted(pending))} did not become healthy in {now - began:.0f} s")
        if stop.wait(_PAUSE_S):
            raise Cancelled(f"the wait for {project} was cancelled")


def _missing(found: Collection[ForeignContainer], replicas: Mapping[str, int]) -> list[str]:
    return [name for name, wanted in replicas.items() if len([c for c in found if c.compose_service == name]) < wanted]


def _is_well(container: ForeignContainer, jobs: Collection[str]) -> bool:
    if container.state == "exited":
        return True  # with exit code 0, or it would have been refused
    if container.compose_service in jobs or container.state != "running":
        return False
    return container.health in ("healthy", "none")


def _refuse_failed(docker: Docker, found: Collection[ForeignContainer]) -> None:
    for container in found:
        if container.state in ("exited", "dead") and container.exit_code != 0:
            raise _unhealthy(docker, container, f"ended with exit code {container.exit_code}")
        if container.health == "unhealthy":
            raise _unhealthy(docker, container, "is unhealthy")


def _unhealthy(docker: Docker, container: ForeignContainer, why: str) -> Unhealthy:
    lines = docker.containers.logs(container.id, tail=_LAST_LINES).decode(errors="replace").rstrip()
    return Unhealthy(f"{container.name} {why}" + (f"; its last output:\n{lines}" if lines else "; it wrote nothing"))


def _patience_s(docker: Docker, found: Collection[ForeignContainer], settle_s: float) -> float:
    checks = [docker.containers.health_check(container.id) for container in found]
    return max(deadline_s(probe_of(check), settle_s) for check in [{}, *checks])
