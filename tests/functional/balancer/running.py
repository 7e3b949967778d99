"""A real HAProxy of a test's own, and real HTTP servers behind it, all on loopback addresses."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stampede.blocks.haproxy import HAProxy, service_argv
from stampede.blocks.haproxy.sockets import Socket
from stampede.blocks.haproxy.taken import processes_with
from stampede.places import Places

BACKEND_CONFIG = """\
global
  fd-hard-limit 2000
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 2s
frontend answers
  bind {address}:{port}
  http-request return status 200 content-type text/plain string "{name}"
"""

SLOW_TCP_SERVER = textwrap.dedent("""\
    import socket, sys, threading
    server = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=50)
    def greet(connection):
        connection.sendall(b"hello")
        while connection.recv(100): pass
    while True:
        threading.Thread(target=greet, args=(server.accept()[0],), daemon=True).start()
    """)


SLOW_HTTP_SERVER = textwrap.dedent("""\
    import http.server, sys, time
    class Slow(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            time.sleep(1)
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"slow")
    http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Slow).serve_forever()
    """)


def free_port(address: str = "0.0.0.0") -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class RunningHAProxy:
    """HAProxy with places of its own, started from files as a supervisor would."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.block = HAProxy(places)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.places.logs / "haproxy.log").read_text()

    def start(self) -> None:
        self.block.ensure_config()
        self.places.logs.mkdir(parents=True, exist_ok=True)
        with (self.places.logs / "haproxy.log").open("ab") as log:
            self.process = subprocess.Popen(service_argv(self.places), stdout=log, stderr=log)
        Socket(self.places.run / "haproxy.sock").ask("show info", patience_s=10)

    def kill(self) -> None:
        """As `kill -9` of master and workers, or a power cut."""
        for pid in self.pids():
            subprocess.run(["kill", "-9", str(pid)], check=False)
        if self.process is not None:
            self.process.wait(10)

    def worker_pid(self) -> int:
        return self.block.statistics().pid

    def pids(self) -> frozenset[int]:
        return processes_with(str(self.places.host / "haproxy.cfg"))

    def ask(self, command: str) -> str:
        """What the running worker answers to a command of ours, past the block."""
        return Socket(self.places.run / "haproxy.sock").ask(command)

    @property
    def reloads(self) -> int:
        return self.log.count("Reloading HAProxy")


@contextmanager
def running_haproxy(*, started: bool = True) -> Iterator[RunningHAProxy]:
    """Paths of sockets must be short, so it does not live in pytest's directory."""
    base = Path(tempfile.mkdtemp(prefix="sth", dir="/tmp"))
    haproxy = RunningHAProxy(Places(base / "state", base / "run"))
    try:
        if started:
            haproxy.start()
        yield haproxy
    finally:
        haproxy.kill()
        shutil.rmtree(base)


class Backends:
    """Real servers that answer with their name; each on a loopback address of its own."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self.port = port
        self._stack = stack
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sth", dir="/tmp")))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_http(self, name: str, address: str) -> str:
        config = self._directory / f"{name}.cfg"
        config.write_text(BACKEND_CONFIG.format(address=address, port=self.port, name=name))
        return self._start(name, address, ["haproxy", "-db", "-f", str(config)])

    def start_tcp(self, name: str, address: str) -> str:
        return self._start(name, address, [sys.executable, "-c", SLOW_TCP_SERVER, address, str(self.port)])

    def start_slow_http(self, name: str, address: str) -> str:
        """One whose answers take a second."""
        return self._start(name, address, [sys.executable, "-c", SLOW_HTTP_SERVER, address, str(self.port)])

    def stop(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait(10)

    def _start(self, name: str, address: str, argv: list[str]) -> str:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._processes[name] = process
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return address


@contextmanager
def running_backends() -> Iterator[Backends]:
    with ExitStack() as stack:
        yield Backends(free_port(), stack)
