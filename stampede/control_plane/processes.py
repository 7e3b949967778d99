"""Processes by pid and start time, so that a pid that was given away again is never taken for ours. Linux only."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that was started: `started` is in clock ticks since boot, `digest` that of the service it runs."""

    pid: int
    started: int
    digest: str = ""

    @property
    def alive(self) -> bool:
        """It runs, and is not a zombie."""
        return start_time(self.pid) == self.started

    def send(self, number: int) -> None:
        """Send a signal; a no-op when the process has ended."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        self.send(signal.SIGKILL)


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when it has ended (proc(5), field 22 of stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def this_process() -> Process:
    started = start_time(os.getpid())
    return Process(os.getpid(), started or 0)


def read_pid(path: Path) -> Process | None:
    """The process that a pid file names, if it still runs."""
    try:
        found = Process(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if found.alive else None


def write_pid(path: Path, process: Process) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(asdict(process)))
    fresh.replace(path)
