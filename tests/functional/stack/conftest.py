"""One control plane for all these tests, in directories of its own, and a stack for each of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from stampede.planning.identity import CLUSTER, STACK
from tests.conftest import pick_port, remove_labelled, unmount_below
from tests.lab.images import ensure_busybox
from tests.lab.installation import Installation
from tests.lab.pools import clean_up, remove_volumes
from tests.lab.stacks import LabStack


@contextmanager
def installation_of_its_own(docker_client: docker.DockerClient, pool: str = "1G") -> Iterator[Installation]:
    """A running control plane. Afterwards nothing of it is left, whatever the tests did."""
    ensure_busybox(docker_client)
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))  # sockets need a short path
    own = Installation(root, pick_port(), {"STAMPEDE_POOL_SIZE": pool})
    try:
        own.start()
        yield own
    finally:
        own.stop()
        remove_labelled(docker_client, f"{CLUSTER}={own.places.cluster}")
        clean_up(own.places)
        unmount_below(root)
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def installation(docker_client: docker.DockerClient) -> Iterator[Installation]:
    """One for all tests that leave it as it was."""
    with installation_of_its_own(docker_client) as own:
        yield own


@pytest.fixture
def stack(installation: Installation, stack_name: str, docker_client: docker.DockerClient) -> Iterator[LabStack]:
    """A stack that is not deployed yet. Afterwards its containers are taken away, which is faster than `down`."""
    installation.until_healthy()
    folder = installation.root / stack_name
    folder.mkdir()
    yield LabStack(stack_name, folder, installation, docker_client)
    installation.until_healthy()
    if installation.lock_of(stack_name):
        installation.run("unlock", "-p", stack_name, "--yes")
    remove_labelled(docker_client, f"{STACK}={stack_name}")
    remove_volumes(installation.places, stack_name)
    for image in docker_client.images.list(filters={"reference": f"stampede.local/{stack_name}/*"}):
        for tag in image.tags:
            if tag.startswith(f"stampede.local/{stack_name}/"):
                docker_client.images.remove(tag, force=True, noprune=True)
