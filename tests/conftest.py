"""What all tests share. Nothing here touches a thing that the test at hand did not make."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, NotFound

from stampede.places import RUN_VARIABLE, STATE_VARIABLE, Places
from stampede.planning.identity import CLUSTER, STACK
from stampede.programs import run
from tests.lab.pools import clean_up
from tests.lab.seaweedfs import SeaweedFS, running_seaweedfs

# A shell that starts the tests in the background lets them ignore SIGINT, and what they start as well: no Ctrl-C then.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    """Directories of this test's own, named to this process and its children; paths short enough for unix sockets."""
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    own = Places(root / "state", root / "run")
    for directory in (own.state, own.run):
        directory.mkdir(mode=0o700)
    monkeypatch.setenv(STATE_VARIABLE, str(own.state))
    monkeypatch.setenv(RUN_VARIABLE, str(own.run))
    yield own
    clean_up(own)
    unmount_below(root)
    shutil.rmtree(root)


def unmount_below(root: Path) -> None:
    """Afterwards nothing is mounted below `root`."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([path for path in mounted if Path(path).is_relative_to(root)]):
        run(["umount", "--lazy", mount])


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The SDK's client of the real dockerd. Without one the test is skipped, but in CI it fails."""
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except DockerException as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"dockerd does not answer: {error}")
        pytest.skip(f"dockerd does not answer: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A real S3 server of this run's own."""
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def stack_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name no other stack has. After a functional test, what carries the label of this stack is removed."""
    name = f"t-{secrets.token_hex(3)}"
    functional = request.node.get_closest_marker("functional") is not None
    client: docker.DockerClient | None = request.getfixturevalue("docker_client") if functional else None
    yield name
    if client is not None:
        remove_labelled(client, f"{STACK}={name}")


@pytest.fixture
def cluster(docker_client: docker.DockerClient) -> Iterator[str]:
    """The name of a cluster of this test's own. Afterwards everything labelled with it is removed."""
    name = f"t-{secrets.token_hex(3)}"
    yield name
    remove_labelled(docker_client, f"{CLUSTER}={name}")


def remove_labelled(client: docker.DockerClient, label: str) -> None:
    """Remove containers, networks and volumes that carry `label`; one that is going already is left to go."""
    for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
        _unless_gone(partial(container.remove, force=True, v=True))
    for network in client.networks.list(filters={"label": label}):
        _unless_gone(network.remove)
    for volume in client.volumes.list(filters={"label": label}):
        _unless_gone(partial(volume.remove, force=True))


def _unless_gone(remove: Callable[[], object]) -> None:
    try:
        remove()
    except NotFound:
        return


@pytest.fixture
def free_port() -> int:
    """A TCP port of this machine that nothing listened on a moment ago."""
    return pick_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """As many different free ports as asked for."""

    def pick(count: int) -> list[int]:
        ports: set[int] = set()
        while len(ports) < count:
            ports.add(pick_port())
        return sorted(ports)

    return pick


def pick_port() -> int:
    """A free port below those that the kernel gives to outgoing connections, which could take it before its use."""
    while True:
        port = random.randrange(10000, 30000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("", port))
            return port
