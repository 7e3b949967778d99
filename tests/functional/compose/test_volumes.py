"""Volumes, binds and memory, seen from inside and in what Docker says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import docker as sdk
import pytest

from tests.functional.compose.conftest import Project

pytestmark = pytest.mark.functional
Web = Callable[..., Project]
DATA = "volumes: ['data:/data']"


def test_named_volume_outlives_its_container(web: Web) -> None:
    project = web(DATA, more="volumes: {data: {}}")
    project.sh("echo kept >/data/file")
    project.docker.containers.remove(project.container().id, anonymous_volumes=True)
    assert web(DATA, more="volumes: {data: {}}").sh("cat /data/file") == "kept"


def test_kinds_of_mounts(web: Web, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("bound\n")
    keys = """
        volumes:
          - {type: volume, source: data, target: /data}
          - {type: bind, source: ./here, target: /here}
          - {type: tmpfs, target: /memory}
          - /anonymous
        """
    project = web(keys, more="volumes: {data: {}}")
    assert project.sh("cat /here") == "bound"
    assert project.sh("awk '$2 == \"/memory\" {print $3}' /proc/mounts") == "tmpfs"
    (found,) = project.docker.found("h1", project.name).instances
    assert list(found.anonymous_volumes) == ["/anonymous"]


def test_read_only_mount(web: Web) -> None:
    assert web("volumes: ['data:/data:ro']", more="volumes: {data: {}}").fails("touch /data/x")


def test_bind_options(web: Web, tmp_path: Path) -> None:
    keys = """
        volumes:
          - {type: bind, source: ./made/here, target: /made, bind: {create_host_path: true, propagation: private}}
          - {type: bind, source: ./labelled, target: /labelled, bind: {create_host_path: true, selinux: z}}
        """
    project = web(keys)
    assert (tmp_path / "made/here").is_dir()
    binds = project.host_config()["Binds"]
    assert binds == [f"{tmp_path}/made/here:/made:rw,private", f"{tmp_path}/labelled:/labelled:rw,z"]
    by_target = {mount["Destination"]: mount for mount in project.inspect()["Mounts"]}
    assert by_target["/made"]["Propagation"] == "private"


def test_a_bind_that_must_exist_is_not_made(web: Web, tmp_path: Path) -> None:
    keys = "volumes: [{type: bind, source: ./gone, target: /gone, bind: {create_host_path: false}}]"
    with pytest.raises(Exception, match="gone"):
        web(keys)
    assert not (tmp_path / "gone").exists()


def test_volume_options(web: Web) -> None:
    """`nocopy` leaves a new volume empty; else it gets what the image has there. Labels are for anonymous volumes."""
    keys = """
        volumes:
          - {type: volume, source: plain, target: /www}
          - {type: volume, source: empty, target: /etc, volume: {nocopy: true}}
          - {type: volume, target: /own, volume: {labels: {team: blue}}}
        """
    project = web(keys, more="volumes: {plain: {}, empty: {}}")
    assert project.sh("cat /www/index.html") == "hello"
    assert project.fails("test -e /etc/passwd")
    (found,) = project.docker.found("h1", project.name).instances
    assert project.client.volumes.get(found.anonymous_volumes["/own"]).attrs["Labels"]["team"] == "blue"


def test_tmpfs_mount(web: Web) -> None:
    project = web("volumes: [{type: tmpfs, target: /memory, tmpfs: {size: 4m, mode: 0700}}]")
    assert project.sh("df -k /memory | tail -1 | awk '{print $2}'; stat -c %a /memory") == "4096\n700"


def test_tmpfs(web: Web) -> None:
    project = web("tmpfs: ['/run:size=2m,mode=755', /scratch]")
    assert project.sh("df -k /run | tail -1 | awk '{print $2}'") == "2048"
    assert project.sh("awk '$2 == \"/scratch\" {print $3}' /proc/mounts") == "tmpfs"


def test_volume_driver_options(web: Web) -> None:
    options = "{driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: 'size=3m'}}"
    assert web(DATA, more=f"volumes: {{data: {options}}}").sh("df -k /data | tail -1 | awk '{print $2}'") == "3072"


def test_volume_labels(web: Web, stack_name: str) -> None:
    project = web(DATA, more="volumes: {data: {labels: {team: blue}}}")
    labels = project.client.volumes.get(f"{stack_name}_data").attrs["Labels"]
    assert (labels["team"], labels["stampede.stack"]) == ("blue", stack_name)


def test_volume_name(web: Web, stack_name: str) -> None:
    project = web(DATA, more=f"volumes: {{data: {{name: {stack_name}-by-name}}}}")
    assert [found.name for found in project.docker.found("h1", project.name).volumes] == [f"{stack_name}-by-name"]


@pytest.fixture
def foreign_volume(docker_client: sdk.DockerClient, stack_name: str) -> Iterator[str]:
    volume = docker_client.volumes.create(f"{stack_name}-foreign")
    yield volume.name
    volume.remove(force=True)


def test_external_volume(web: Web, foreign_volume: str) -> None:
    project = web(DATA, more=f"volumes: {{data: {{external: true, name: {foreign_volume}}}}}")
    (mount,) = project.inspect()["Mounts"]
    assert mount["Name"] == foreign_volume
    project.docker.containers.remove(project.container().id)
