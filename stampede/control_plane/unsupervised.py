"""Start and stop the services where there is no systemd, by way of our own supervisor."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import stampede
from stampede import programs
from stampede.control_plane import logs, services
from stampede.control_plane.processes import read_pid
from stampede.control_plane.supervisor import PID_FILE, STOPPED_FILE
from stampede.errors import StampedeError
from stampede.places import RUN_VARIABLE, STATE_VARIABLE, Places

STOP_DEADLINE_S = 60.0
LAUNCH_DEADLINE_S = 10.0


class OwnSupervisor:
    """Keeps services running by way of `stampede.control_plane.supervisor`."""

    @staticmethod
    def start(places: Places) -> None:
        """Afterwards a supervisor runs that wants every service up."""
        (places.run / STOPPED_FILE).unlink(missing_ok=True)
        if (running := read_pid(places.run / PID_FILE)) is not None:
            running.send(signal.SIGHUP)
            return
        _launch(places)

    @staticmethod
    def stop(places: Places, *, everything: bool) -> None:
        """Afterwards the services do not run, those that carry traffic excepted. Raises: StampedeError after 60 s."""
        if not OwnSupervisor.processes(places):
            return
        places.run.joinpath(STOPPED_FILE).touch()
        if read_pid(places.run / PID_FILE) is None:
            _launch(places)  # one that was killed left services behind: the new one adopts them
        staying = set() if everything else {one.name for one in services.load(places).values() if one.traffic}
        ending = signal.SIGTERM if everything else signal.SIGHUP
        deadline, told = time.monotonic() + STOP_DEADLINE_S, None
        while left := {name for name, _ in OwnSupervisor.processes(places)} - staying:
            if time.monotonic() > deadline:
                raise StampedeError(f"The services did not stop within {STOP_DEADLINE_S:.0f} s")
            supervisor = read_pid(places.run / PID_FILE)
            if supervisor is None and left != {"supervisor"}:
                _launch(
                    places
                )  # one that was killed left services behind: a new one adopts them, in order to stop them
            elif supervisor is not None and supervisor != told:
                supervisor.send(ending)
                told = supervisor
            elif left == {"supervisor"} and staying:
                return
            time.sleep(0.1)

    @staticmethod
    def processes(places: Places) -> tuple[tuple[str, int], ...]:
        """The services that run, and the supervisor, with their pids."""
        names = [*services.load(places), "supervisor"]
        found = [(name, read_pid(places.run / f"{name}.pid")) for name in names]
        return tuple((name, process.pid) for name, process in found if process is not None)

    @staticmethod
    def last_lines(places: Places, name: str) -> str:
        """The end of what a service has said."""
        return logs.last_lines(places.logs / f"{name}.log", 8)

    @staticmethod
    def where_logs_are(places: Places) -> str:
        return f"the logs are in {places.logs}"


def _launch(places: Places) -> None:
    """Afterwards a supervisor runs. Raises: StampedeError when there is none after 10 s."""
    environment = os.environ | {
        STATE_VARIABLE: str(places.state),
        RUN_VARIABLE: str(places.run),
        "PYTHONPATH": str(Path(stampede.__file__).resolve().parents[1]),
    }
    programs.run([sys.executable, "-m", "stampede.control_plane.supervisor"], env=environment)
    deadline = time.monotonic() + LAUNCH_DEADLINE_S
    while read_pid(places.run / PID_FILE) is None:
        if time.monotonic() > deadline:
            raise StampedeError("The supervisor did not start", f"its log is {places.logs / 'supervisor.log'}")
        time.sleep(0.05)
