"""HAProxy as it is put in front of a swarm: in its overlay network, finding the tasks by way of Docker's DNS."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.processes import run
from benchmarks.shop import REPLICAS, WEB_PORT
from benchmarks.throwaway import GROUP, Throwaway
from stampede.errors import StampedeError
from tests.lab.images import BUSYBOX

PORT = 8000
UP_WITHIN_S = 60.0
# Source: HAProxy's documentation of `server-template` and `resolvers`; balancing and checks as Stampede sets them.
CONFIGURATION = f"""\
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  retries 3
  option redispatch
resolvers docker
  nameserver dns 127.0.0.11:53
  hold valid 500ms
  timeout resolve 500ms
  timeout retry 500ms
frontend shop
  bind 127.0.0.1:{PORT}
  default_backend web
backend web
  balance roundrobin
  retry-on conn-failure
  default-server check inter 300ms fall 2 rise 1 resolvers docker init-addr none
  server-template web- {REPLICAS * 2} tasks.web:{WEB_PORT}
"""


@contextmanager
def balancer(throwaway: Throwaway, stack: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address at which the tasks answer, and the words before a program that is to reach it."""
    name = f"{stack}-balancer"
    words = ("--detach", "--name", name, "--network", f"{stack}_default", "--init", BUSYBOX, "sleep", "86400")
    path = folder / "swarm-haproxy.cfg"
    path.write_text(CONFIGURATION)
    with ExitStack() as exits:
        throwaway.docker("run", *words)
        exits.callback(throwaway.docker, "rm", "--force", name)
        inner = int(throwaway.docker("inspect", "--format", "{{.State.Pid}}", name))
        inside = throwaway.inside(_outer_pid(inner))
        haproxy = subprocess.Popen([*inside, "haproxy", "-db", "-f", str(path)], stderr=subprocess.DEVNULL)
        exits.callback(haproxy.wait)
        exits.callback(haproxy.terminate)
        url = f"http://127.0.0.1:{PORT}/"
        _until_it_answers(url, inside)
        yield url, inside


def _outer_pid(inner: int) -> int:
    """The pid on this machine of a process whose pid in the throw-away's namespace is `inner`.

    Source: proc(5), NSpid: the pids of a process from our namespace inwards.
    """
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            pids = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()[1:]
            if pids[1:2] == [str(inner)] and GROUP in (status.parent / "cgroup").read_text():
                return int(pids[0])
        except (OSError, StopIteration):  # it ended meanwhile
            continue
    raise StampedeError(f"no process has the pid {inner} in there")


def _until_it_answers(url: str, inside: list[str]) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    ask = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=2)"
    while True:
        try:
            run([*inside, "python3", "-c", ask, url])
        except StampedeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
        else:
            return
