"""The same from Python: new files, and new images for what runs."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from stampede import control_plane
from stampede.client import Client
from stampede.errors import BadInput, ImageMissing
from tests.lab.images import BUSYBOX
from tests.lab.stacks import LabStack, page, web

pytestmark = pytest.mark.functional


@pytest.fixture
def client(stack: LabStack) -> Iterator[Client]:
    with Client(*control_plane.connect(stack.installation.places), requested_by="ci@build") as connected:
        yield connected


@pytest.fixture
def other_image(stack: LabStack, docker_client: docker.DockerClient) -> Iterator[str]:
    """Another image than the one of `web`, with the same programs."""
    reference = f"{stack.name}:2"
    container = docker_client.containers.create(BUSYBOX, ["true"])
    container.commit(*reference.split(":"), changes="LABEL made-by=test")
    container.remove()
    yield reference
    docker_client.images.remove(reference, force=True)


def test_files_are_deployed_then_an_image_is_changed(
    stack: LabStack, client: Client, other_image: str, free_port: int
) -> None:
    stack.write({"web": web("one", free_port), "other": web("other")})
    first = client.deploy_files([stack.folder / "compose.yaml"], why="from Python")
    assert (first.stack, first.revision) == (stack.name, 1)
    assert page(free_port) == "one"

    second = client.deploy(stack.name, images={"web": other_image}, why="build 2")
    assert [(change.name, change.action) for change in second.changes] == [(f"{stack.name}-web-1", "replace")]
    assert second.unchanged == (f"{stack.name}-other-1",)
    assert page(free_port) == "one"
    newest = client.history(stack.name)[0]
    assert (newest.revision, newest.by, newest.why) == (2, "ci@build", "build 2")
    assert newest.images["web"] == other_image


def test_errors_arrive_as_what_they_are(stack: LabStack, client: Client) -> None:
    stack.write({"web": web("one")})
    client.deploy_files([stack.folder / "compose.yaml"])
    with pytest.raises(BadInput, match="no service wbe"):
        client.scale(stack.name, {"wbe": 2})
    missing = web("one") | {"image": "stampede-test/never-made:1", "pull_policy": "never"}
    stack.write({"web": missing})
    with pytest.raises(ImageMissing, match="never-made"):
        client.deploy_files([stack.folder / "compose.yaml"])
