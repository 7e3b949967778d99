"""A second host, whose worker dies while the control host lives."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stampede.control_plane.services import read_env
from stampede.control_plane.settings import worker_env
from stampede.errors import HostUnreachable
from stampede.places import RUN_VARIABLE
from stampede.results import read_result
from tests.functional.execution.conftest import Plane

pytestmark = pytest.mark.functional
OTHER = "h2"


@contextmanager
def worker_of_other_host(plane: Plane, run: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that serves only the queue of its host, as on a host that has joined; killed at the end."""
    own = {"STAMPEDE_HOST": OTHER, "STAMPEDE_CONTROL": "0", RUN_VARIABLE: str(run)}
    argv = [sys.executable, "-m", "stampede.deployments.worker_entry"]
    environment = {**plane.environment, **read_env(worker_env(plane.places)), **own}
    with subprocess.Popen(argv, env=environment) as process:
        try:
            deadline = time.monotonic() + 90
            while not (run / "worker.ready").exists():
                assert process.poll() is None, "the worker ended"
                assert time.monotonic() < deadline, "the worker did not become ready"
                time.sleep(0.1)
            yield process
        finally:
            process.kill()


def test_a_step_whose_worker_was_killed_is_taken_again_when_the_worker_is_back(plane: Plane, tmp_path: Path) -> None:
    with worker_of_other_host(plane, tmp_path / "first"):
        parent = plane.start("two-steps", host=OTHER, key="far", seconds=3)
        plane.until_counted("far-b")
    with worker_of_other_host(plane, tmp_path / "second"):
        run = plane.wait(parent)
    assert read_result(plane.http, run) == [1, 2]
    assert run["run_count"] == 1
    assert [child["state_type"] for child in plane.children(parent)] == ["COMPLETED", "CRASHED", "COMPLETED"]


def test_a_worker_that_stays_dead_is_reported_and_its_run_closed(plane: Plane, tmp_path: Path) -> None:
    with worker_of_other_host(plane, tmp_path / "third"):
        parent = plane.start("two-steps", host=OTHER, key="gone", seconds=60)
        plane.until_counted("gone-b")
    began = time.monotonic()
    with pytest.raises(HostUnreachable, match="The worker of h2 has been silent for"):
        read_result(plane.http, plane.wait(parent, timeout_s=120))
    assert 25 < time.monotonic() - began < 90
    assert plane.children(parent)[-1]["state_type"] == "CRASHED"
