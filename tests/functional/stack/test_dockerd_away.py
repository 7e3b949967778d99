"""A Docker daemon that is down, or is restarted in the middle of a change. It is one of the test's own."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.conftest import pick_port, unmount_below
from tests.lab.dockerd import LabDockerd
from tests.lab.images import ensure_busybox
from tests.lab.installation import Installation, until
from tests.lab.stacks import LabStack, page, web

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def dockerd(docker_client: docker.DockerClient) -> Iterator[LabDockerd]:
    """Beside the one of the machine, which `docker_client` makes sure of."""
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    own = LabDockerd(root)
    try:
        own.start()
        ensure_busybox(own.client)
        yield own
    finally:
        own.remove()
        unmount_below(root)
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def its_installation(dockerd: LabDockerd) -> Iterator[Installation]:
    """A control plane that knows this daemon only."""
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    own = Installation(root, pick_port(), {"DOCKER_HOST": dockerd.url})
    try:
        own.start()
        yield own
    finally:
        own.stop()
        unmount_below(root)
        shutil.rmtree(root)


@pytest.fixture
def app(its_installation: Installation, dockerd: LabDockerd, free_port: int) -> Iterator[tuple[LabStack, int]]:
    name = f"t-{secrets.token_hex(3)}"
    folder = its_installation.root / name
    stack = LabStack(name, folder, its_installation, dockerd.client)
    stack.up({"web": web("one", free_port, restart="unless-stopped", deploy={"replicas": 2})})
    yield stack, free_port
    if not dockerd.process:
        dockerd.start()
    stack.do("down", "--yes", "--wait", "60")


def test_without_docker_a_deploy_says_so_changes_nothing_and_goes_through_later(
    app: tuple[LabStack, int], dockerd: LabDockerd
) -> None:
    stack, port = app
    stack.write({"web": web("two", port, restart="unless-stopped", deploy={"replicas": 2})})
    dockerd.stop()
    failed = stack.do("up", code=1)
    assert "Docker" in failed.err
    assert "Traceback" not in failed.err
    assert len(stack.do("history").json) == 2
    dockerd.start()
    stack.do("up")
    assert page(port) == "two"
    assert stack.names() == ["web-1", "web-2"]


def test_docker_restarted_in_the_middle_of_a_deploy_is_waited_for_or_mended_by_the_next(
    app: tuple[LabStack, int], dockerd: LabDockerd
) -> None:
    stack, port = app
    deploy = {"replicas": 2, "update_config": {"parallelism": 0, "monitor": "1s"}}
    stack.write({"web": web("two", port, delay_s=4, restart="unless-stopped", deploy=deploy)})
    up = stack.begin("up")
    stack.until_revision_runs(2)
    dockerd.stop()
    dockerd.start()
    stack.installation.end(up, check=False)
    stack.do("up", "--wait", "100")
    assert stack.names() == ["web-1", "web-2"]
    assert stack.revisions() == [2, 2]
    until(lambda: page(port) == "two", "the new ones serve")


def test_after_a_restart_of_docker_apps_serve_again_without_any_command(
    app: tuple[LabStack, int], dockerd: LabDockerd
) -> None:
    stack, port = app
    before = stack.ids()
    dockerd.stop()
    dockerd.start()
    until(lambda: all(c.status == "running" for c in stack.containers()), "the containers run again")
    assert stack.ids() == before
    until(lambda: page(port) == "one", "they serve")
    assert stack.do("up").json["changed"] == []
