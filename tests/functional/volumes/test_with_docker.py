"""Managed volumes as Docker has them: a `local` volume that binds the `data` directory of a mounted image."""

from __future__ import annotations

import io
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from docker.models.containers import Container

from stampede.blocks.docker.client import Client
from stampede.blocks.volumes import ImagePool, mounts
from stampede.blocks.volumes.docker_writers import DockerWriters
from stampede.blocks.volumes.guard import relieve
from stampede.errors import Refused
from stampede.places import Places
from stampede.planning.identity import CLUSTER
from stampede.volumes.labels import KEEP
from stampede.volumes.models import FoundManagedVolume
from stampede.volumes.room import MIB
from tests.lab.images import ensure_busybox
from tests.lab.pools import running_pool, wanted

pytestmark = pytest.mark.functional
SEEDED = "stampede-test/seeded:1"
_DOCKERFILE = """FROM {busybox}
RUN mkdir -p /seed/in /empty && echo hello >/seed/in/file && chown -R 1000:1000 /seed && chmod 750 /seed
"""


@pytest.fixture
def pool(places: Places) -> Iterator[ImagePool]:
    with running_pool(places) as pool:
        yield pool


@pytest.fixture
def seeded(docker_client: docker.DockerClient) -> str:
    """An image with a directory that has content and an owner, and one that is empty."""
    text = _DOCKERFILE.format(busybox=ensure_busybox(docker_client))
    docker_client.images.build(fileobj=io.BytesIO(text.encode()), tag=SEEDED)
    return SEEDED


class Lab:
    """Containers and volumes of one test, on the real daemon."""

    def __init__(self, client: docker.DockerClient, image: str, cluster: str, pool: ImagePool) -> None:
        self.client, self.pool = client, pool
        self._image, self._labels = image, {CLUSTER: cluster}

    def volume(self, mib: int = 32) -> FoundManagedVolume:
        found = self.pool.ensure_volume(wanted(f"t-{secrets.token_hex(4)}", mib=mib))
        options = {"type": "none", "o": "bind", "device": found.data}
        self.client.volumes.create(found.name, driver="local", driver_opts=options, labels=self._labels)
        return found

    def container(self, volume: FoundManagedVolume, target: str, command: str) -> Container:
        return self.client.containers.create(
            self._image, ["sh", "-c", command], labels=self._labels, volumes={volume.name: {"bind": target}}
        )

    def said(self, container: Container) -> str:
        container.start()
        assert container.wait(timeout=30)["StatusCode"] == 0, container.logs().decode()
        return container.logs().decode()


@pytest.fixture
def lab(pool: ImagePool, docker_client: docker.DockerClient, seeded: str, cluster: str) -> Iterator[Lab]:
    lab = Lab(docker_client, seeded, cluster, pool)
    yield lab
    for container in docker_client.containers.list(all=True, filters={"label": f"{CLUSTER}={cluster}"}):
        container.remove(force=True)


def test_an_empty_volume_looks_empty(lab: Lab) -> None:
    assert lab.said(lab.container(lab.volume(), "/empty", "ls -A /empty")) == ""


def test_an_empty_volume_gets_the_content_and_the_owner_of_the_image(lab: Lab) -> None:
    volume = lab.volume()
    said = lab.said(lab.container(volume, "/seed", "cat /seed/in/file; stat -c '%u %g %a' /seed"))
    assert said.split() == ["hello", "1000", "1000", "750"]
    inside = Path(volume.data) / "in/file"
    assert (inside.read_text(), inside.stat().st_uid) == ("hello\n", 1000)


def test_a_volume_with_content_keeps_it(lab: Lab) -> None:
    volume = lab.volume()
    (Path(volume.data) / "mine").write_text("mine")
    assert lab.said(lab.container(volume, "/seed", "ls -A /seed")).split() == ["mine"]


def test_a_container_whose_mount_is_missing_does_not_start_on_an_empty_folder(lab: Lab, places: Places) -> None:
    volume = lab.volume()
    (Path(volume.data) / "mine").write_text("mine")
    container = lab.container(volume, "/seed", "ls -A /seed; touch /seed/written")
    lab.pool.unmount(volume.name)
    with pytest.raises(APIError, match="no such file or directory"):
        container.start()
    assert list((places.volumes / volume.name).iterdir()) == []
    lab.pool.bring_back()
    assert lab.said(container).split() == ["mine"]
    assert (Path(volume.data) / "written").exists()


def test_a_container_that_runs_keeps_its_volume(lab: Lab) -> None:
    """Its bind is in a mount namespace of its own, where an unmount here would not reach it."""
    volume = lab.volume()
    taken = lab.pool.snapshot([volume.name])[0]
    container = lab.container(volume, "/seed", "sleep 600")
    container.start()
    for refused in (
        lambda: lab.pool.unmount(volume.name),
        lambda: lab.pool.restore(volume.name, taken.id),
        lambda: lab.pool.remove_volume(volume.name),
    ):
        with pytest.raises(Refused, match="in use"):
            refused()
    assert container.exec_run("touch /seed/still-here").exit_code == 0
    assert (Path(volume.data) / "still-here").exists()
    container.kill()
    assert lab.pool.restore(volume.name, taken.id).volume == volume.name


def test_a_volume_that_is_used_grows_where_the_kernel_can_and_is_refused_where_it_cannot(lab: Lab) -> None:
    volume = lab.volume()
    container = lab.container(volume, "/seed", "sleep 600")
    container.start()
    try:
        lab.pool.resize(volume.name, 64 * MIB)
    except Refused as error:
        said = str(error)
        container.kill()
    else:
        said = "while it is in use"
    assert "while it is in use" in said
    assert lab.pool.resize(volume.name, 64 * MIB).size_bytes == 64 * MIB
    inside = os.statvfs(volume.data)
    assert inside.f_blocks * inside.f_frsize > 48 * MIB


def test_two_containers_share_a_volume(lab: Lab) -> None:
    volume = lab.volume()
    lab.said(lab.container(volume, "/empty", "echo from-one >/empty/file"))
    assert lab.said(lab.container(volume, "/seed", "cat /seed/file")).strip() == "from-one"


@pytest.fixture
def crowded(lab: Lab) -> tuple[FoundManagedVolume, Container]:
    """A pool at about three quarters, most of it in snapshots, and a container that rewrites its file for ever.

    A write that fails ends the container.
    """
    volume = lab.volume(mib=200)
    file = Path(volume.data) / "file"
    writer = (
        "while :; do n=$((n + 1)); dd if=/dev/urandom of=/empty/file bs=1M count=1 conv=notrunc,fsync"
        " seek=$((n % 130)) 2>/dev/null || exit 9; sleep 0.02; done"
    )
    for _ in range(2):
        with file.open("wb") as held:
            held.write(os.urandom(130 * MIB))
            held.flush()
            os.fsync(held.fileno())
        lab.pool.trim(volume.name)
    container = lab.container(volume, "/empty", writer)
    return volume, container


def rewrite(volume: FoundManagedVolume) -> None:
    with (Path(volume.data) / "file").open("r+b") as held:
        held.write(os.urandom(130 * MIB))
        held.flush()
        os.fsync(held.fileno())


def test_a_pool_that_fills_up_drops_its_oldest_snapshot_and_writers_notice_nothing(
    lab: Lab, places: Places, crowded: tuple[FoundManagedVolume, Container]
) -> None:
    volume, container = crowded
    writers = DockerWriters(places, Client())
    oldest = lab.pool.snapshot([volume.name])[0]
    rewrite(volume)
    newest = lab.pool.snapshot([volume.name])[0]
    container.start()
    deadline = time.monotonic() + 60
    while not (done := relieve(lab.pool, writers)).dropped:
        assert time.monotonic() < deadline
    assert [one.snapshot for one in done.dropped] == [oldest.id]
    assert "full" in done.dropped[0].reason
    assert lab.pool.snapshots(volume.name) == (newest,)
    container.reload()
    assert container.status == "running"


def test_a_pool_with_nothing_to_drop_holds_its_writers_until_there_is_room(
    lab: Lab, places: Places, crowded: tuple[FoundManagedVolume, Container]
) -> None:
    volume, container = crowded
    writers = DockerWriters(places, Client())
    kept = lab.pool.snapshot([volume.name], labels={KEEP: "a test"})[0]
    rewrite(volume)
    lab.pool.snapshot([volume.name], labels={KEEP: "a test"})
    container.start()
    deadline = time.monotonic() + 60
    while not (done := relieve(lab.pool, writers)).held:
        assert time.monotonic() < deadline
    assert (done.held, done.dropped, done.let_go) == ((container.name,), (), ())
    container.reload()
    assert container.status == "paused"
    with pytest.raises(Refused, match="too full"):
        lab.pool.snapshot([volume.name])
    with pytest.raises(Refused, match="too full"):
        lab.pool.ensure_volume(wanted("another", mib=16))
    assert relieve(lab.pool, writers).held == ()
    lab.pool.remove_snapshot(volume.name, kept.id)
    assert relieve(lab.pool, DockerWriters(places, Client())).let_go == (container.name,)
    container.reload()
    assert container.status == "running"
    mounts.sync(Path(volume.data))


def test_a_container_that_a_person_paused_stays_paused(lab: Lab, places: Places) -> None:
    volume = lab.volume()
    container = lab.container(volume, "/empty", "sleep 600")
    container.start()
    container.pause()
    writers = DockerWriters(places, Client())
    assert writers.hold([volume.name]) == ()
    assert writers.let_go() == ()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    assert writers.hold([volume.name]) == (container.name,)
    assert writers.let_go() == (container.name,)
