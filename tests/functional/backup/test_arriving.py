"""Volumes that are used while they arrive, on a real pool and a real S3 server, through deaths of every part."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from stampede.blocks.backups.arriving import ensure_arriving
from stampede.blocks.detaching import detach
from stampede.blocks.object_store import S3Store
from stampede.blocks.volumes import ImagePool, mounts
from stampede.blocks.volumes.arrivals import Progress, arrival_progress
from stampede.control_plane.processes import start_time
from stampede.errors import BadInput, InUse, Refused, StoreUnavailable, UnknownName
from stampede.places import Places
from stampede.planning.identity import CLUSTER
from tests.functional.backup.volumes import MIB, VOLUME, back_up, made_access, made_image, pack_of_files_only
from tests.lab.images import ensure_busybox
from tests.lab.installation import until
from tests.lab.pools import running_pool, wanted
from tests.lab.seaweedfs import SeaweedFS, running_seaweedfs

pytestmark = pytest.mark.functional

NAME = "shop_uploads"
SIZE_MIB = 128
CONTENT = {f"file{number}": os.urandom(2 * MIB) for number in range(45)}


def write(data: Path) -> None:
    for name, content in CONTENT.items():
        (data / name).write_bytes(content)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """One that tests may stop."""
    with running_seaweedfs(tmp_path_factory.mktemp("weed")) as server:
        yield server


class Site:
    """A volume with files, and its backup."""

    def __init__(self, server: SeaweedFS, folder: Path) -> None:
        self.access = made_access(server.address(server.bucket()))
        image = made_image(folder, SIZE_MIB * MIB, write)
        back_up(self.access, image)
        self.pack = pack_of_files_only(self.access, image)


@pytest.fixture(scope="module")
def site(server: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(server, tmp_path_factory.mktemp("site"))


class Host:
    """A host whose volume arrives. `data` is what its containers would have."""

    def __init__(self, places: Places, server: SeaweedFS, site: Site) -> None:
        self.places, self.server, self.access, self.site = places, server, site.access, site
        self.pool = ImagePool(places, "h1")
        self.data, self.folder = places.volumes / NAME / "data", places.pool / "arriving" / NAME

    def arrive(self, mib: int = SIZE_MIB) -> None:
        ensure_arriving(self.pool, wanted(NAME, mib=mib), self.access, VOLUME, 1, patience_s=1.0)

    @contextmanager
    def withheld(self) -> Iterator[None]:
        """Part of the backup cannot be had until the context ends, so that the volume cannot be complete before."""
        store = S3Store(self.access.address)
        content = store.get(self.site.pack)
        store.delete([self.site.pack])
        try:
            yield
        finally:
            store.put(self.site.pack, content)
            store.close()

    @property
    def progress(self) -> Progress:
        found = arrival_progress(self.folder)
        assert found is not None
        return found

    def wait_until_complete(self) -> None:
        until(lambda: self.progress.complete, "all of it is there", 60)

    def kill(self) -> None:
        """Whoever brings it, as by the kernel when memory runs out."""
        pid = self.progress.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid), "it is dead", 10)

    def go_down(self) -> None:
        """As when the host loses its power: nothing is mounted or running afterwards, files are as they were."""
        self.kill()
        for one in reversed([one.path for one in mounts.mounts() if one.path.is_relative_to(self.places.volumes)]):
            subprocess.run(["umount", "--lazy", one], check=True)
        detach(self.folder / "served")

    def check(self, **changed: bytes) -> None:
        for name, content in (CONTENT | changed).items():
            assert (self.data / name).read_bytes() == content, name


@pytest.fixture
def host(places: Places, server: SeaweedFS, site: Site) -> Iterator[Host]:
    with running_pool(places, "xfs"):
        host = Host(places, server, site)
        yield host
        found = arrival_progress(host.folder)
        if found and is_alive(found.pid):
            host.go_down()


def is_alive(pid: int) -> bool:
    return start_time(pid) is not None


def write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def test_it_is_used_at_once_and_a_volume_like_others_when_all_of_it_is_there(host: Host) -> None:
    host.arrive()
    write_synced(host.data / "file3", b"changed meanwhile")
    assert (host.data / "file4").read_bytes() == CONTENT["file4"]
    host.arrive()
    host.wait_until_complete()
    with (host.data / "file5").open("rb"), pytest.raises(InUse):
        host.pool.finish_arrival(NAME)
    assert (host.data / "file5").read_bytes() == CONTENT["file5"]
    (host.data / "late").write_text("not synced")
    found = host.pool.finish_arrival(NAME)
    assert (found.mounted, found.trouble, found.size_bytes) == (True, "", SIZE_MIB * MIB)
    host.check(file3=b"changed meanwhile", late=b"not synced", last=b"in the journal only")
    assert not host.folder.exists()
    assert sorted(path.name for path in (host.places.pool / "volumes" / NAME).iterdir()) == ["image", "volume.json"]
    assert host.pool.finish_arrival(NAME) == host.pool.ensure_volume(wanted(NAME, mib=SIZE_MIB))
    host.pool.snapshot([NAME])
    host.pool.unmount(NAME)
    subprocess.run(["e2fsck", "-fn", host.places.pool / "volumes" / NAME / "image"], check=True, capture_output=True)


def test_it_may_be_larger_than_the_backup_and_not_smaller(host: Host) -> None:
    with pytest.raises(BadInput, match="128"):
        host.arrive(mib=64)
    assert not host.folder.exists()
    host.arrive(mib=200)
    host.wait_until_complete()
    host.pool.finish_arrival(NAME)
    host.check()
    assert os.statvfs(host.data).f_blocks * os.statvfs(host.data).f_frsize > 150 * MIB


def test_what_was_synced_survives_the_death_of_who_brings_it_and_of_the_host(host: Host) -> None:
    with host.withheld():
        host.arrive()
        write_synced(host.data / "synced", b"kept")
        host.kill()
        with pytest.raises(OSError, match="Input/output error"):
            [path.read_bytes() for path in host.data.iterdir()]
        host.arrive()
        assert (host.data / "synced").read_bytes() == b"kept"
        write_synced(host.data / "file7", b"again")
        host.go_down()
        assert host.pool.bring_back() == ()
        assert not host.data.exists()
        host.arrive()
    host.wait_until_complete()
    host.pool.finish_arrival(NAME)
    host.check(synced=b"kept", file7=b"again")


def test_it_is_never_taken_for_whole_before_it_is(host: Host) -> None:
    with host.withheld():
        host.arrive()
        until(lambda: host.progress.trouble != "", "something is known to be missing", 30)
        assert "is not in s3://" in host.progress.trouble
        with pytest.raises(Refused, match="has not arrived yet"):
            host.pool.finish_arrival(NAME)
        found = host.pool.ensure_volume(wanted(NAME, mib=SIZE_MIB))
        assert (found.mounted, found.data) == (True, str(host.data))
        missing = [name for name in CONTENT if not readable(host.data / name)]
        assert 0 < len(missing) < len(CONTENT)
        host.go_down()
        with pytest.raises(Refused, match="restored from elsewhere"):
            host.pool.ensure_volume(wanted(NAME, mib=SIZE_MIB))
        with pytest.raises(UnknownName):
            host.pool.mount(NAME)
        host.arrive()
    host.wait_until_complete()
    host.check()
    assert host.progress.trouble == ""


def readable(path: Path) -> bool:
    """Whether it can be read; what can be is right."""
    try:
        found = path.read_bytes()
    except OSError:
        return False
    assert found == CONTENT[path.name]
    return True


def test_a_server_that_is_away_delays_it_only(host: Host) -> None:
    with host.withheld():
        host.arrive()
        until(lambda: host.progress.trouble != "", "all else is there", 30)
        host.server.kill()
        try:
            write_synced(host.data / "file7", b"meanwhile")
            host.kill()
            with pytest.raises(StoreUnavailable):
                host.arrive()
        finally:
            host.server.start()
    host.arrive()
    host.wait_until_complete()
    host.check(file7=b"meanwhile")


def test_one_that_is_complete_when_the_host_goes_down_comes_back_by_itself(host: Host) -> None:
    host.arrive()
    write_synced(host.data / "synced", b"kept")
    host.wait_until_complete()
    host.go_down()
    host.pool.ensure_pool()
    assert [(one.name, one.mounted) for one in host.pool.bring_back()] == [(NAME, True)]
    host.check(synced=b"kept")


def test_one_that_is_not_wanted_any_more_leaves_nothing(host: Host) -> None:
    host.arrive()
    with (host.data / "file1").open("rb"), pytest.raises(InUse):
        host.pool.drop_arrival(NAME)
    pid = host.progress.pid
    assert host.pool.drop_arrival(NAME)
    assert not host.pool.drop_arrival(NAME)
    until(
        lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes(), "gone", 10
    )
    assert not host.folder.exists()
    assert host.pool.ensure_volume(wanted(NAME, mib=SIZE_MIB)).mounted


def test_a_container_works_on_it_while_it_arrives(host: Host, docker_client: docker.DockerClient, cluster: str) -> None:
    with host.withheld():
        host.arrive()
        container = docker_client.containers.run(
            ensure_busybox(docker_client),
            ["sh", "-c", "md5sum /data/file0 && echo done >/data/made && sync && exec sleep 60"],
            labels={CLUSTER: cluster},
            volumes={str(host.data): {"bind": "/data"}},
            stop_signal="KILL",
            detach=True,
        )
        until((host.data / "made").exists, "the container has written", 20)
        assert hashlib.md5(CONTENT["file0"]).hexdigest() in container.logs().decode()
    host.wait_until_complete()
    with pytest.raises(InUse):
        host.pool.finish_arrival(NAME)
    container.remove(force=True)
    host.pool.finish_arrival(NAME)
    host.check(made=b"done\n")
