"""A worker that takes up the runs of the one before it: whatever one of them meets, the others go on."""

from __future__ import annotations

import os
import signal
import time

import pytest

from stampede.results import read_result
from tests.functional.execution.conftest import Plane

pytestmark = pytest.mark.functional


def until_taken_up(plane: Plane, key: str) -> None:
    deadline = time.monotonic() + 90
    while plane.counted(key) < 2:
        assert time.monotonic() < deadline, f"{key} was not resumed"
        time.sleep(0.05)


def test_a_resumed_run_that_somebody_deletes_does_not_end_the_worker_or_the_other_runs(plane: Plane) -> None:
    """The worker cannot even say how the run ended: the server does not know it any more."""
    deleted = plane.start("slow", key="deleted", seconds=4)
    other = plane.start("slow", key="beside", seconds=8)
    plane.until_counted("deleted")
    plane.until_counted("beside")
    before = plane.pid("worker")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    until_taken_up(plane, "deleted")
    plane.http.delete(f"/flow_runs/{deleted}").raise_for_status()
    resumed_by = plane.pid("worker")
    assert read_result(plane.http, plane.wait(other)) == 2, "it was resumed once and not taken up again"
    assert plane.counted("deleted-done") == 1
    assert plane.pid("worker") == resumed_by != before
