"""The supervisor by itself, with a program that only sleeps."""

from __future__ import annotations

import os
import signal
import time

import pytest

from stampede.control_plane import services
from stampede.control_plane.processes import read_pid
from stampede.control_plane.unsupervised import OwnSupervisor
from stampede.places import Places

pytestmark = pytest.mark.functional


def test_what_a_killed_supervisor_left_running_is_stopped_with_everything(places: Places) -> None:
    places.logs.mkdir()
    services.add(places, services.Service("sleeper", ("sleep", "1000"), traffic=True))
    OwnSupervisor.start(places)
    deadline = time.monotonic() + 20
    while len(OwnSupervisor.processes(places)) < 2:
        assert time.monotonic() < deadline, "the service was not started"
        time.sleep(0.05)
    before = dict(OwnSupervisor.processes(places))
    os.kill(before["supervisor"], signal.SIGKILL)

    OwnSupervisor.stop(places, everything=False)
    assert dict(OwnSupervisor.processes(places))["sleeper"] == before["sleeper"]
    OwnSupervisor.stop(places, everything=True)
    assert OwnSupervisor.processes(places) == ()
    assert read_pid(places.run / "sleeper.pid") is None


def test_a_start_brings_back_what_a_stop_of_everything_has_stopped(places: Places) -> None:
    places.logs.mkdir()
    services.add(places, services.Service("sleeper", ("sleep", "1000"), traffic=True))
    try:
        for _ in range(2):
            OwnSupervisor.start(places)
            deadline = time.monotonic() + 20
            while "sleeper" not in dict(OwnSupervisor.processes(places)):
                assert time.monotonic() < deadline, "the service was not started"
                time.sleep(0.05)
            OwnSupervisor.stop(places, everything=True)
            assert OwnSupervisor.processes(places) == ()
    finally:
        OwnSupervisor.stop(places, everything=True)
