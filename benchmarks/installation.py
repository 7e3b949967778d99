"""A Stampede of the benchmarks' own: control plane, state and balancer apart from any other on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from benchmarks.processes import run
from stampede import control_plane
from stampede.client import Client
from stampede.places import RUN_VARIABLE, STATE_VARIABLE, Places
from stampede.planning.identity import CLUSTER
from tests.conftest import remove_labelled, unmount_below

FLOWS = {"STAMPEDE_FLOWS": "benchmarks.flows:FLOWS", "STAMPEDE_VERBS": "benchmarks.flows:VERBS"}
HOST = "bench"


@dataclass(frozen=True)
class Installation:
    """A running control plane whose directories are below `root`."""

    root: Path

    @property
    def places(self) -> Places:
        return Places(self.root / "state", self.root / "run")

    def stampede(self, *words: str) -> str:
        """What the command prints on stdout. Raises: ProgramFailed."""
        return run([sys.executable, "-m", "stampede", *words], env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "STAMPEDE_", "COMPOSE_"))}
        own = {STATE_VARIABLE: str(self.places.state), RUN_VARIABLE: str(self.places.run), "STAMPEDE_HOST": HOST}
        return inherited | own | FLOWS | {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), "NO_COLOR": "1"}

    @property
    def client(self) -> Client:
        """The API of this control plane, to be closed by the caller."""
        return Client(*control_plane.connect(self.places))

    @property
    def processes(self) -> dict[str, int]:
        """Pids of server and worker."""
        return {name: pid for name, pid in control_plane.status(self.places).processes if name in ("server", "worker")}


@contextmanager
def own_installation(root: Path) -> Iterator[Installation]:
    """A control plane that has started. Afterwards nothing of it is left, containers included."""
    own = Installation(root)
    daemon = docker.from_env(timeout=120)
    try:
        own.stampede("server", "start", "--port", str(free_port()))
        yield own
    finally:
        own.stampede("server", "stop", "--everything")
        remove_labelled(daemon, f"{CLUSTER}={own.places.cluster}")
        daemon.close()
        unmount_below(root)
        shutil.rmtree(root)


def free_port() -> int:
    """A TCP port of loopback that nothing listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
