"""A whole installation of its own: control plane, real flows, real dockerd and HAProxy, and the command line to it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import docker as sdk
import httpx
import pytest

from stampede import control_plane
from stampede.places import Places
from stampede.programs import Finished, run
from tests.lab.images import ensure_busybox
from tests.lab.pools import clean_up

HOST = "h1"


@dataclass
class Site:
    """An installation of this test's own."""

    root: Path
    metrics_port: int
    cluster: str = ""
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        self.places = Places(self.root / "state", self.root / "run")

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STAMPEDE_"))}
        return kept | {
            "STAMPEDE_STATE_DIR": str(self.places.state),
            "STAMPEDE_RUN_DIR": str(self.places.run),
            "STAMPEDE_HOST": HOST,
            "STAMPEDE_METRICS": f"127.0.0.1:{self.metrics_port}",
            "STAMPEDE_CLUSTER": self.cluster or self.places.cluster,
            "STAMPEDE_POOL_SIZE": "2G",
        }

    def stampede(self, *words: str | Path, check: bool = True) -> Finished:
        """The command line, against this installation."""
        argv = [sys.executable, "-m", "stampede", *words]
        return run(argv, env=self.environment, timeout_s=300, check=check)

    def told(self, *words: str | Path) -> Any:
        """What the command prints with --json."""
        return json.loads(self.stampede(*words, "--json").out)

    def start(self, port: int | None = None) -> None:
        self.stampede("server", "start", *(["--port", str(port)] if port else []))

    def stop(self, *, everything: bool = False) -> None:
        self.stampede("server", "stop", *(["--everything"] if everything else []))

    def file(self, text: str, name: str = "compose.yaml") -> Path:
        """A stack file with this text."""
        path = self.root / name
        path.write_text(dedent(text))
        return path

    def up(self, text: str, *words: str) -> Any:
        return self.told("up", "-f", self.file(text), *words)

    @contextmanager
    def http(self) -> Iterator[httpx.Client]:
        """The Prefect API."""
        url, auth = control_plane.connect(self.places)
        user, _, password = auth.partition(":")
        with httpx.Client(base_url=url, auth=(user, password), timeout=60) as client:
            yield client

    def pid(self, name: str) -> int | None:
        return dict(control_plane.status(self.places).processes).get(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def site_of_its_own(cluster: str = "") -> Iterator[Site]:
    """A running installation; afterwards it is stopped and its directories are gone.

    One of the same `cluster` as another takes what the other made for its own.
    """
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    site = Site(root, free_port(), cluster)
    try:
        site.start(free_port())
        yield site
    finally:
        try:
            site.stop(everything=True)
        finally:
            clean_up(site.places)
            run(["umount", "--lazy", site.places.files], check=False)
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def site(docker_client: sdk.DockerClient) -> Iterator[Site]:
    """One installation for all tests that leave it as it was."""
    ensure_busybox(docker_client)
    with site_of_its_own() as own:
        yield own


@pytest.fixture
def fresh_site(docker_client: sdk.DockerClient) -> Iterator[Site]:
    """An installation that the test may break."""
    ensure_busybox(docker_client)
    with site_of_its_own() as own:
        yield own


@pytest.fixture
def app(docker_client: sdk.DockerClient) -> Iterator[str]:
    """A name no other stack or Compose project has; afterwards nothing of either is left."""
    name = f"ops-{secrets.token_hex(3)}"
    yield name
    labels: list[dict[str, Any]] = [
        {"label": f"{key}={name}"} for key in ("stampede.stack", "com.docker.compose.project")
    ]
    for filters in labels:
        for container in docker_client.containers.list(all=True, filters=filters):
            container.remove(force=True, v=True)
    for filters in labels:
        for network in docker_client.networks.list(filters=filters):
            network.remove()
        for volume in docker_client.volumes.list(filters=filters):
            volume.remove(force=True)
    for tag in [tag for image in docker_client.images.list() for tag in image.tags]:
        if tag.startswith(f"stampede.local/{name}"):
            docker_client.images.remove(tag)


def until(true: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Returns once `true()` is, and fails when it is not in time."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.2)


def answer(port: int) -> str:
    """What a GET of / on this port of loopback answers; "" when nothing does."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=5).text
    except httpx.TransportError:
        return ""
