"""Start, stop and look at the embedded control plane of this host."""

from __future__ import annotations

import fcntl
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stampede.control_plane import settings, systemd, unsupervised
from stampede.control_plane.settings import SERVER, WORKER
from stampede.errors import Refused, ServerUnreachable
from stampede.places import Places

START_DEADLINE_S = 120.0
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Status:
    """`healthy`: the API answers, and the worker of this host takes runs. Processes by name, with their pids."""

    url: str
    healthy: bool
    processes: tuple[tuple[str, int], ...]


def connect(places: Places) -> tuple[str, str]:
    """The API's URL and its `user:password`. Raises: ServerUnreachable when there is no control plane here."""
    return settings.connection(places)


def start(
    places: Places, *, port: int | None = None, host: str | None = None, progress: Progress = lambda _: None
) -> Status:
    """Afterwards server and worker run and answer. A no-op when they do; a second start waits for the first.

    Without `port` and `host`, the server listens where it did before, at first on 127.0.0.1:4200.
    Raises: Refused when the port belongs to another program; ServerUnreachable when it takes more than 120 s.
    """
    with _one_at_a_time(places, progress):
        before = settings.chosen_address(places)
        wanted = (host or before[0], port or before[1])
        if SERVER not in dict(_keeper(places).processes(places)) or wanted != before:
            _check_port(*wanted)
        settings.prepare(places, *wanted)
        _keeper(places).start(places)
        return _wait_until_healthy(places, progress)


def stop(places: Places, *, everything: bool = False) -> None:
    """Afterwards neither server nor worker run. What carries traffic goes on, unless `everything` is to stop.

    Flow runs that were under way are resumed at the next start.
    """
    with _one_at_a_time(places, lambda _: None):
        _keeper(places).stop(places, everything=everything)


def status(places: Places) -> Status:
    """What runs now; not healthy and without processes where no control plane was ever started."""
    try:
        url, _ = connect(places)
    except ServerUnreachable:
        host, port = settings.chosen_address(places)
        return Status(f"http://{host}:{port}/api", False, ())
    running = _keeper(places).processes(places)
    return Status(url, WORKER in dict(running) and _worker_is_ready(places) and _answers(url), running)


def _keeper(places: Places) -> type[systemd.Systemd] | type[unsupervised.OwnSupervisor]:
    """Units have fixed names: a second installation on this machine must not take over those of the first."""
    return systemd.Systemd if systemd.is_running() and places.is_default else unsupervised.OwnSupervisor


def _wait_until_healthy(places: Places, progress: Progress) -> Status:
    began = time.monotonic()
    said_at = 0.0
    while True:
        now = status(places)
        waited_s = time.monotonic() - began
        if now.healthy:
            return now
        if waited_s > START_DEADLINE_S:
            ends = "\n".join(f"{name}: {_keeper(places).last_lines(places, name)}" for name in (SERVER, WORKER))
            raise ServerUnreachable(
                f"The control plane did not answer within {START_DEADLINE_S:.0f} s:\n{ends}",
                _keeper(places).where_logs_are(places),
            )
        if waited_s - said_at >= 2.0:
            said_at = waited_s
            part = "the worker" if _answers(now.url) else "the server"
            progress(f"waiting for {part} to start, {waited_s:.0f} s (a busy machine takes up to 45 s)")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _worker_is_ready(places: Places) -> bool:
    """The worker that runs now has registered everything and taken up what the one before it left."""
    try:
        name, pid = (places.run / "worker.ready").read_text().split()
    except (FileNotFoundError, ValueError):
        return False
    return bool(name) and dict(_keeper(places).processes(places)).get(WORKER) == int(pid)


def _check_port(host: str, port: int) -> None:
    """Raises: Refused when another program listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refused(
                f"The server cannot listen on {host}:{port}: {error.strerror}", "stampede server start --port PORT"
            ) from error


@contextmanager
def _one_at_a_time(places: Places, progress: Progress) -> Iterator[None]:
    places.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(places.run / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another start or stop is under way, waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
