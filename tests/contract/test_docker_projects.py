"""What blocks/docker/contract.py promises of Compose projects, held against the daemon in memory and a real one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker as sdk
import pytest

from stampede.blocks.docker import Docker, DockerHost
from stampede.errors import DaemonError, Foreign
from stampede.planning.adoption import PROJECT
from stampede.planning.found import ForeignContainer
from stampede.stackfile.models import Volume
from tests.fakes.docker import FakeDockerHost
from tests.lab.images import BUSYBOX, ensure_busybox


@dataclass
class Ground:
    """A daemon with a project: container `<name>-web-1` on network `<name>_default` with volume `<name>_data`."""

    docker: Docker
    name: str
    container: str


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.functional)])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    name = f"proj-{secrets.token_hex(3)}"
    if request.param == "fake":
        yield _in_memory(name)
        return
    client: sdk.DockerClient = request.getfixturevalue("docker_client")
    ensure_busybox(client)
    labels = {PROJECT: name, "com.docker.compose.service": "web"}
    network = client.networks.create(f"{name}_default", labels=labels)
    volume = client.volumes.create(f"{name}_data", labels=labels)
    container = client.containers.run(
        BUSYBOX,
        ["sleep", "600"],
        name=f"{name}-web-1",
        labels=labels,
        network=network.name,
        volumes={volume.name: {"bind": "/data"}},
        restart_policy={"Name": "always"},
        init=True,
        detach=True,
    )
    host = DockerHost()
    yield Ground(host, name, str(container.id))
    for each in client.containers.list(all=True, filters={"label": f"{PROJECT}={name}"}):
        each.remove(force=True)
    for left in client.networks.list(names=[f"{name}_default"]):
        left.remove()
    volume.remove()
    host.close()


def _in_memory(name: str) -> Ground:
    host = FakeDockerHost()
    host.foreign.append(ForeignContainer(id="c1", name=f"{name}-web-1", compose_project=name, compose_service="web"))
    host.networks.add_foreign(f"{name}_default", project=name)
    host.volumes.add_foreign(f"{name}_data", project=name)
    host.projects.attached["c1"] = (f"{name}_default",)
    return Ground(host, name, "c1")


def test_a_project_is_found_by_its_labels(ground: Ground) -> None:
    found = ground.docker.projects.look(ground.name)
    (container,) = found.containers
    assert (container.id, container.name, container.state) == (ground.container, f"{ground.name}-web-1", "running")
    assert (found.networks, found.volumes) == ((f"{ground.name}_default",), (f"{ground.name}_data",))
    assert found.guests == {}
    none = ground.docker.projects.look(f"{ground.name}-other")
    assert (none.containers, none.networks, none.volumes) == ((), (), ())


def test_a_container_is_set_aside_once(ground: Ground) -> None:
    for _ in range(2):
        assert ground.docker.projects.set_aside(ground.name, ground.container) == f"{ground.name}-web-1-before-adoption"
    (container,) = ground.docker.projects.look(ground.name).containers
    assert (container.name, container.state) == (f"{ground.name}-web-1-before-adoption", "exited")
    assert ground.docker.projects.set_aside(ground.name, "gone") == ""


def test_a_network_goes_once_nothing_runs_on_it(ground: Ground) -> None:
    network = f"{ground.name}_default"
    with pytest.raises(DaemonError, match="still used"):
        ground.docker.projects.remove_network(ground.name, network)
    ground.docker.projects.set_aside(ground.name, ground.container)
    for _ in range(2):
        ground.docker.projects.remove_network(ground.name, network)
    assert ground.docker.projects.look(ground.name).networks == ()


def set_aside_for_another(ground: Ground) -> None:
    ground.docker.projects.set_aside("another", ground.container)


def remove_network_for_another(ground: Ground) -> None:
    ground.docker.projects.remove_network("another", f"{ground.name}_default")


def use_volume_for_another(ground: Ground) -> None:
    volume = Volume(name=f"{ground.name}_data")
    ground.docker.volumes.ensure_volume(volume, cluster="c", stack="another", adopted=True)


def use_volume_without_adopting(ground: Ground) -> None:
    ground.docker.volumes.ensure_volume(Volume(name=f"{ground.name}_data"), cluster="c", stack=ground.name)


def remove_volume(ground: Ground) -> None:
    ground.docker.volumes.remove_volume(f"{ground.name}_data", cluster="c")


@pytest.mark.parametrize(
    "touch",
    [
        set_aside_for_another,
        remove_network_for_another,
        use_volume_for_another,
        use_volume_without_adopting,
        remove_volume,
    ],
)
def test_what_is_not_of_the_project_or_not_adopted_is_never_touched(
    ground: Ground, touch: Callable[[Ground], None]
) -> None:
    before = ground.docker.projects.look(ground.name)
    with pytest.raises(Foreign):
        touch(ground)
    assert ground.docker.projects.look(ground.name) == before


def test_an_adopted_volume_is_used_as_it_is(ground: Ground) -> None:
    wanted = Volume(name=f"{ground.name}_data")
    found = ground.docker.volumes.ensure_volume(wanted, cluster="c", stack=ground.name, adopted=True)
    assert (found.name, found.adopted) == (wanted.name, True)
    assert ground.docker.projects.look(ground.name).volumes == (wanted.name,)


def test_strangers_on_a_network_of_the_project_are_its_guests(ground: Ground, request: pytest.FixtureRequest) -> None:
    network = f"{ground.name}_default"
    if isinstance(ground.docker, FakeDockerHost):
        ground.docker.foreign.append(ForeignContainer(id="c2", name=f"{ground.name}-guest"))
        ground.docker.projects.attached["c2"] = (network,)
        assert ground.docker.projects.look(ground.name).guests == {network: (f"{ground.name}-guest",)}
        return
    client: sdk.DockerClient = request.getfixturevalue("docker_client")
    guest = client.containers.run(
        BUSYBOX, ["sleep", "600"], name=f"{ground.name}-guest", network=network, init=True, detach=True
    )
    try:
        assert ground.docker.projects.look(ground.name).guests == {network: (f"{ground.name}-guest",)}
    finally:
        guest.remove(force=True)


FILE = """
name: {name}
services:
  web:
    image: stampede-test/busybox:1
    command: ["sleep", "600"]
    init: true
    stop_grace_period: 1s
    volumes: ["kept:/kept"]
networks: {{default: {{name: {name}_default}}}}
volumes: {{kept: {{name: {name}_data, external: true}}}}
"""


@pytest.fixture
def directory(ground: Ground, tmp_path: Path) -> Iterator[Path]:
    """A directory with a Compose file of a project of the same name; the one that was there has made way."""
    ground.docker.projects.take_down(ground.name)
    (tmp_path / "compose.yaml").write_text(FILE.format(name=ground.name))
    yield tmp_path
    ground.docker.projects.take_down(ground.name)


def test_a_project_is_brought_up_once_and_taken_down_without_its_volumes(ground: Ground, directory: Path) -> None:
    seen = set()
    for _ in range(2):
        ground.docker.projects.bring_up(directory)
        (container,) = ground.docker.projects.look(ground.name).containers
        assert (container.name, container.compose_service, container.state) == (
            f"{ground.name}-web-1",
            "web",
            "running",
        )
        seen.add(container.id)
    assert len(seen) == 1
    for _ in range(2):
        ground.docker.projects.take_down(ground.name)
        left = ground.docker.projects.look(ground.name)
        assert (left.containers, left.networks, left.volumes) == ((), (), (f"{ground.name}_data",))


def test_a_project_that_compose_refuses_is_an_error_with_its_words(ground: Ground, directory: Path) -> None:
    text = (directory / "compose.yaml").read_text().replace(f"{ground.name}_data", f"{ground.name}_missing")
    (directory / "compose.yaml").write_text(text)
    with pytest.raises(DaemonError, match=f"{ground.name}_missing"):
        ground.docker.projects.bring_up(directory)


def test_what_was_set_aside_is_not_taken_down(ground: Ground) -> None:
    aside = ground.docker.projects.set_aside(ground.name, ground.container)
    ground.docker.projects.take_down(ground.name)
    assert [container.name for container in ground.docker.projects.look(ground.name).containers] == [aside]
