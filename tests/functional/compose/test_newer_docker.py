"""Keys that only a newer dockerd than this machine's acts on: with Debian trixie's, which speaks API 1.45."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stampede.blocks.docker import DockerHost
from stampede.places import Places
from tests.functional.compose.conftest import Project
from tests.lab.debian_host import DebianHost, host_with_newer_docker
from tests.lab.images import ensure_busybox

pytestmark = [pytest.mark.functional, pytest.mark.debian, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def host() -> Iterator[DebianHost]:
    with host_with_newer_docker() as own:
        yield own


@pytest.fixture
def newer(host: DebianHost, stack_name: str, tmp_path: Path, places: Places) -> Iterator[Project]:
    """A stack of this test's own on that daemon, which goes with its host."""
    with host.docker() as client:
        ensure_busybox(client)
        docker = DockerHost(f"unix:///proc/{host.pid}/root/run/docker.sock")
        yield Project(stack_name, tmp_path, places, docker, client)
        for container in client.containers.list(all=True):
            container.remove(force=True)
        docker.close()


def up(project: Project, keys: str, more: str = "") -> Project:
    project.up(
        f"services: {{web: {{image: stampede-test/busybox:1, command: [sleep, '600'], init: true, {keys}}}}}\n{more}"
    )
    return project


def test_mac_address_on_each_network(newer: Project) -> None:
    one, two = "02:42:0a:dc:00:05", "02:42:0a:dc:00:06"
    keys = f"networks: {{a: {{mac_address: '{one}'}}, b: {{mac_address: '{two}'}}}}"
    project = up(newer, keys, "networks: {a: {}, b: {}}")
    assert one in project.sh("ip link show eth0")
    assert two in project.sh("ip link show eth1")


@pytest.mark.parametrize(
    ("recursive", "bound", "written"),
    [("disabled", False, False), ("writable", True, True), ("readonly", True, False), ("enabled", True, False)],
)
def test_recursive_bind(newer: Project, recursive: str, bound: bool, written: bool) -> None:
    """/dev of that host is a mount with others below it. Newer daemons make all of them read-only if they can."""
    keys = f"type: bind, source: /dev, target: /there, read_only: true, bind: {{recursive: {recursive}"
    private = ", propagation: rprivate" if recursive == "readonly" else ""
    project = up(newer, f"volumes: [{{{keys}{private}}}}}]")
    assert project.fails("grep -q ' /there/shm ' /proc/mounts") != bound
    assert project.fails("touch /there/shm/written") != written
    assert project.fails("touch /there/written")


def test_annotations(newer: Project) -> None:
    assert up(newer, "annotations: {team: blue}").host_config()["Annotations"] == {"team": "blue"}
