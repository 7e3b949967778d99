"""Backups looked into on a real S3 server by real mounts: soon, little of them fetched, and never anything wrong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stampede.blocks.backups import RepositoryAccess
from stampede.blocks.backups.claiming import clear_opened
from stampede.blocks.backups.opened import opened_backup
from stampede.blocks.object_store import S3Store
from stampede.blocks.volumes import mounts
from stampede.deployments.boot import bring_back_volumes
from stampede.errors import BackupError, Damaged, StoreUnavailable, UnknownName
from stampede.places import Places
from tests.functional.backup.volumes import MIB, VOLUME, back_up, made_access, made_image, pack_of_files_only
from tests.lab.installation import until
from tests.lab.seaweedfs import SeaweedFS, running_seaweedfs

pytestmark = pytest.mark.functional


class Site:
    """A volume of 1 GiB with 300 MiB in it, and its backup. `content` has what its files hold."""

    def __init__(self, address: RepositoryAccess, folder: Path, *, clean: bool = False) -> None:
        self.access, self.content = address, dict[str, bytes]()
        self.image = made_image(folder, 1024 * MIB, self._write, clean=clean)
        back_up(self.access, self.image)

    def _write(self, data: Path) -> None:
        for number in range(100):
            path = data / f"folder{number % 10}" / f"file{number}"
            path.parent.mkdir(exist_ok=True)
            self.content[str(path.relative_to(data))] = content = os.urandom(3 * MIB)
            path.write_bytes(content)


@pytest.fixture(scope="module")
def site(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Site:
    access = made_access(seaweedfs.address(seaweedfs.bucket(), "prefix"))
    return Site(access, tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def nothing_left(places: Places) -> Iterator[None]:
    yield
    clear_opened(places)
    assert left(places) == []


def left(places: Places) -> list[object]:
    """What is mounted, attached or stored of opened backups."""
    loops = [path for path in Path("/sys/block").glob("loop*/loop/backing_file") if _is_in(path, places)]
    mounted = [one for one in mounts.mounts() if one.path.is_relative_to(places.state)]
    stored = list(places.opened.iterdir()) if places.opened.is_dir() else []
    return [*loops, *mounted, *stored]


def _is_in(backing: Path, places: Places) -> bool:
    try:
        return backing.read_text().startswith(str(places.state))
    except OSError:
        return False


def test_the_first_file_is_there_within_a_second_and_less_than_a_hundredth_was_fetched(
    site: Site, places: Places
) -> None:
    began = time.monotonic()
    with opened_backup(site.access, VOLUME, None, places) as opened:
        before = opened.received_bytes
        found = (opened.data / "folder3/file3").read_bytes()[: 256 << 10]
        took = time.monotonic() - began
        assert found == site.content["folder3/file3"][: 256 << 10]
        print(f"first file after {took:.2f} s, {before} bytes to mount, {opened.received_bytes} with it")
        assert opened.about.size_bytes == 1024 * MIB
        assert before < 3 * MIB
        assert opened.received_bytes < 1024 * MIB // 100
        assert opened.requests < 40
    assert left(places) == []
    assert took < 3  # 1 s on a machine that does nothing else


def test_everything_in_it_is_right_and_what_was_in_the_journal_is_there(site: Site, places: Places) -> None:
    with opened_backup(site.access, VOLUME, 1, places) as opened:
        found = {str(path.relative_to(opened.data)): path for path in opened.data.rglob("*") if path.is_file()}
        assert found.pop("last").read_text() == "in the journal only"
        assert found.keys() == site.content.keys()
        began = time.monotonic()
        assert all(path.read_bytes() == site.content[name] for name, path in found.items())
        print(f"300 MiB read in {time.monotonic() - began:.1f} s, {opened.received_bytes / MIB:.0f} MiB fetched")
        with pytest.raises(OSError, match="Read-only"):
            (opened.data / "new").touch()
        options = subprocess.run(["findmnt", "-no", "OPTIONS", opened.data.parent], capture_output=True, text=True)
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(options.stdout.strip().split(","))


def test_a_volume_that_was_unmounted_cleanly_opens_as_well(
    seaweedfs: SeaweedFS, tmp_path: Path, places: Places
) -> None:
    access = made_access(seaweedfs.address(seaweedfs.bucket()))
    back_up(access, made_image(tmp_path, 64 * MIB, lambda data: (data / "file").write_text("content"), clean=True))
    with opened_backup(access, VOLUME, None, places) as opened:
        assert (opened.data / "file").read_text() == "content"
        with opened_backup(access, VOLUME, None, places) as second:
            assert (second.data / "last").exists()
        assert (opened.data / "last").exists()


def test_what_cannot_be_opened_is_said_and_leaves_nothing(site: Site, places: Places, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no backup of nobody"), opened_backup(site.access, "nobody", None, places):
        pass
    with pytest.raises(UnknownName, match="no backup 9"), opened_backup(site.access, VOLUME, 9, places):
        pass
    (tmp_path / "noise").write_bytes(os.urandom(2 * MIB))
    back_up(site.access, tmp_path / "noise", "noise")
    with pytest.raises(Exception, match="cannot be mounted"), opened_backup(site.access, "noise", None, places):
        pass
    assert left(places) == []


def test_damage_is_an_error_of_the_reader_with_its_reason_and_never_wrong_content(
    seaweedfs: SeaweedFS, tmp_path: Path, places: Places
) -> None:
    access, content = made_access(seaweedfs.address(seaweedfs.bucket())), os.urandom(90 * MIB)
    image = made_image(tmp_path, 128 * MIB, lambda data: (data / "file").write_bytes(content))
    back_up(access, image)
    victim, store = pack_of_files_only(access, image), S3Store(access.address)
    changed = bytearray(store.get(victim))
    changed[5 * MIB] ^= 1
    store.put(victim, changed)
    store.close()
    with opened_backup(access, VOLUME, None, places) as opened:
        refused = []
        with (opened.data / "file").open("rb", buffering=0) as file:
            for at in range(0, len(content), 64 << 10):
                try:
                    assert os.pread(file.fileno(), 64 << 10, at) == content[at : at + (64 << 10)]
                except OSError as error:
                    refused.append(error.errno)
        assert set(refused) == {errno.EIO}
        assert len(refused) <= 64  # what the kernel reads ahead of it with it
        assert isinstance(opened.trouble, Damaged)
        assert victim in opened.trouble.message


def test_a_store_that_goes_away_is_an_error_and_its_return_is_all_it_takes(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, places: Places
) -> None:
    with running_seaweedfs(tmp_path_factory.mktemp("weed")) as server:
        access, content = made_access(server.address(server.bucket())), os.urandom(40 * MIB)
        back_up(access, made_image(tmp_path, 64 * MIB, lambda data: (data / "file").write_bytes(content)))
        with (
            opened_backup(access, VOLUME, None, places, patience_s=2.0) as opened,
            (opened.data / "file").open("rb", buffering=0) as file,
        ):
            assert os.pread(file.fileno(), 4096, 0) == content[:4096]
            server.kill()
            assert os.pread(file.fileno(), 4096, 0) == content[:4096]
            with pytest.raises(OSError, match="Input/output error"):
                os.pread(file.fileno(), 4096, 30 * MIB)
            until(lambda: isinstance(opened.trouble, StoreUnavailable), "the reason was heard", 5)
            server.start()
            assert os.pread(file.fileno(), 4096, 30 * MIB) == content[30 * MIB : 30 * MIB + 4096]
        assert left(places) == []


def serving(places: Places) -> list[int]:
    """Processes that serve backups in these places."""
    found = subprocess.run(["pgrep", "-f", "stampede.blocks.backups.serve"], capture_output=True, text=True)
    state = f"STAMPEDE_STATE_DIR={places.state}".encode()
    return [int(pid) for pid in found.stdout.split() if state in Path(f"/proc/{pid}/environ").read_bytes()]


def test_when_the_server_is_killed_readers_get_errors_and_nothing_stays_mounted(site: Site, places: Places) -> None:
    with opened_backup(site.access, VOLUME, None, places) as opened:
        (pid,) = serving(places)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(OSError, match="Input/output error"):
            (opened.data / "folder7/file7").read_bytes()
    assert left(places) == []


def test_when_who_opened_it_is_killed_nothing_stays_mounted(site: Site, places: Places) -> None:
    for server_too in (False, True):
        child = os.fork()
        if child == 0:
            with opened_backup(site.access, VOLUME, None, places) as opened:
                (opened.data / "folder7/file7").read_bytes()
                (places.run / "ready").touch()
                time.sleep(600)
            os._exit(1)
        until((places.run / "ready").exists, "the backup is open", 30)
        if server_too:
            os.kill(serving(places)[0], signal.SIGSTOP)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if server_too:
            os.kill(serving(places)[0], signal.SIGKILL)
            until(lambda: not serving(places), "it has ended", 10)
            bring_back_volumes(places)  # as a worker does when it starts
        until(lambda: left(places) == [], "nothing is left", 15)
        until(lambda: not serving(places), "nobody serves", 10)
        (places.run / "ready").unlink()


def test_a_backup_that_is_open_is_not_cleared(site: Site, places: Places) -> None:
    with opened_backup(site.access, VOLUME, None, places) as opened:
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from stampede.places import Places; from stampede.blocks.backups.claiming import clear_opened as c;"
                "c(Places.of_environment())",
            ],
            check=True,
        )
        assert (opened.data / "last").read_text() == "in the journal only"
