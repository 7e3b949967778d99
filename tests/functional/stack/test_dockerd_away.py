"""A Docker daemon that is down, is restarted in the middle of a change, or has a full disk. It is the test's own."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from stampede.programs import run
from tests.conftest import pick_port, unmount_below
from tests.lab.dockerd import LabDockerd
from tests.lab.images import BUSYBOX, ensure_busybox
from tests.lab.installation import Installation, until
from tests.lab.stacks import LabStack, page, web

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]


DISK_MB = 160


@pytest.fixture(scope="module")
def dockerd(docker_client: docker.DockerClient) -> Iterator[LabDockerd]:
    """Beside the one of the machine, which `docker_client` makes sure of."""
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    own = LabDockerd(root)
    (root / "data").mkdir()
    try:
        run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "stampede-test", root / "data"])
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


@pytest.mark.parametrize(
    ("step", "context_mb", "where"),
    [
        (f"RUN dd if=/dev/zero of=/big bs=1M count={2 * DISK_MB}", 0, "Step 2/3"),
        ("COPY big /big", 2 * DISK_MB, "write /big"),
    ],
    ids=["a program of the build", "the context"],
)
def test_a_disk_that_is_full_while_building_is_told_and_changes_nothing(
    app: tuple[LabStack, int], dockerd: LabDockerd, step: str, context_mb: int, where: str
) -> None:
    stack, port = app
    before, images = stack.ids(), {image.id for image in dockerd.client.images.list()}
    context = stack.folder / "context"
    context.mkdir()
    with (context / "big").open("wb") as sparse:
        sparse.truncate(context_mb * 1024 * 1024)
    (context / "Dockerfile").write_text(f"FROM {BUSYBOX}\n{step}\n")
    built = {"build": "./context", "command": ["sleep", "600"], "stop_grace_period": "1s"}
    stack.write({"web": web("two", port, restart="unless-stopped", deploy={"replicas": 2}), "big": built})
    failed = stack.do("up", code=1)
    assert "the disk is full" in failed.err
    assert where in failed.err
    assert "Traceback" not in failed.err
    assert stack.ids() == before
    assert page(port) == "one"
    assert stack.do("history").json[0]["revision"] is None, "nothing was recorded"
    assert {image.id for image in dockerd.client.images.list()} == images
    assert {c.id for c in dockerd.client.containers.list(all=True)} == {c.id for c in stack.containers()}
    (context / "big").unlink()
    (context / "Dockerfile").write_text(f"FROM {BUSYBOX}\n")
    stack.do("up")
    assert page(port) == "two"
    assert "big-1" in stack.names()
