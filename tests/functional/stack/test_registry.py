"""Images out of a registry that asks for a password."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from stampede.blocks.docker import DockerHost
from stampede.errors import DaemonError, ImageMissing, RegistryUnreachable
from tests.conftest import pick_port
from tests.lab.images import ensure_busybox
from tests.lab.installation import Installation
from tests.lab.registry import PASSWORD, USER, LabRegistry
from tests.lab.stacks import LabStack, sleeper

pytestmark = pytest.mark.functional
LOGIN_TYPE = "stampede-registry-login"


@pytest.fixture
def registry(docker_client: docker.DockerClient) -> Iterator[LabRegistry]:
    """A running one. Afterwards the daemon has no image of it."""
    ensure_busybox(docker_client)
    folder = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    own = LabRegistry(folder, pick_port())
    try:
        own.start()
        yield own
    finally:
        own.stop()
        shutil.rmtree(folder)
        for image in docker_client.images.list():
            for tag in (tag for tag in image.tags if tag.startswith(f"{own.name}/")):
                docker_client.images.remove(tag, force=True)


def store_login(installation: Installation, registry: str, password: str) -> str:
    """Afterwards the server has this login, made as the documentation says. Returns its id."""
    kind = installation.read(f"/block_types/slug/{LOGIN_TYPE}")["id"]
    schema = installation.read("/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}})[0]["id"]
    login = {"registry": registry, "username": USER, "password": password}
    name = f"t-{registry.rpartition(':')[2]}"
    body = {"name": name, "block_type_id": kind, "block_schema_id": schema, "data": login}
    return str(installation.read("/block_documents/", body)["id"])


def test_a_pull_says_what_is_wrong(registry: LabRegistry, docker_client: docker.DockerClient) -> None:
    image = f"{registry.name}/shop/web:1"
    registry.push(docker_client, image)
    right, wrong = {registry.name: (USER, PASSWORD)}, {registry.name: (USER, "no")}
    with closing(DockerHost()) as host:
        for logins in ({}, wrong, {"another.example": (USER, PASSWORD)}):
            with pytest.raises(DaemonError, match=f"{image} could not be pulled") as refused:
                host.images.resolve(image, credentials=logins)
            assert not isinstance(refused.value, RegistryUnreachable | ImageMissing)
            assert "registry login" in str(refused.value.hint)
        with pytest.raises(ImageMissing, match="shop/web:2"):
            host.images.resolve(f"{registry.name}/shop/web:2", credentials=right)
        pulled = host.images.resolve(image, credentials=right)
        assert host.images.resolve(image, pull_policy="always", credentials=right) == pulled
        registry.stop()
        assert host.images.resolve(image) == pulled
        with pytest.raises(RegistryUnreachable, match="connection refused"):
            host.images.resolve(image, pull_policy="always", credentials=right)


def test_a_stored_login_is_used_and_a_tag_that_was_pushed_again_is_noticed(
    registry: LabRegistry, stack: LabStack, installation: Installation
) -> None:
    image = f"{registry.name}/shop/web:1"
    registry.push(stack.docker, image, release="one")
    stack.write({"web": sleeper(image=image)})
    refused = stack.do("up", code=1)
    assert image in refused.err
    assert "registry login" in refused.err

    login = store_login(installation, registry.name, PASSWORD)
    try:
        assert f"{stack.name}-web-1" in stack.up()["changed"]
        assert release(stack) == "one"
        registry.push(stack.docker, image, release="two")
        assert stack.up(None, "--pull", "always")["changed"] == [f"{stack.name}-web-1"]
        assert release(stack) == "two"
        assert stack.up(None, "--pull", "always")["changed"] == []
    finally:
        with installation.api as api:
            api.delete(f"/block_documents/{login}").raise_for_status()
    assert PASSWORD not in "".join(path.read_text() for path in installation.places.logs.glob("*.log"))


def release(stack: LabStack) -> str:
    """The label of the image that runs."""
    (container,) = stack.containers("web")
    return str(container.labels["release"])
