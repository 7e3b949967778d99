"""Backups of a volume of a real pool, restored as volumes of it: whole, or not there."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from stampede import programs
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import create_repository
from stampede.backup.restore import NoSpace
from stampede.blocks.backups import BackupJob, RepositoryAccess, run_job
from stampede.blocks.backups.into_pool import restore_into_pool
from stampede.blocks.object_store import S3Store
from stampede.blocks.volumes import ImagePool, ext4
from stampede.errors import BadInput, Cancelled, Refused
from stampede.places import Places
from stampede.volumes.labels import RUN
from stampede.volumes.room import MIB
from tests.lab.installation import until
from tests.lab.misbehaving import misbehaving
from tests.lab.pools import running_pool, wanted
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Site:
    """A pool with one volume, of which there is one backup in a repository."""

    def __init__(self, places: Places, pool: ImagePool, server: SeaweedFS, mib: int, data_mib: int) -> None:
        self.places, self.pool = places, pool
        address = server.address(server.bucket())
        store = S3Store(address)
        keys = create_repository(store, new_recovery_key(), NOW)
        store.close()
        master = SecretStr(keys.master.hex())
        self.access = RepositoryAccess(address=address, repository=keys.repository, master_key=master)
        pool.ensure_volume(wanted("shop_db", mib=mib))
        folder = pool.mount("shop_db")
        self.content = os.urandom(data_mib * MIB)
        (folder / "table").write_bytes(self.content)
        os.sync()
        (snapshot,) = pool.snapshot(["shop_db"])
        image = pool.snapshot_image("shop_db", snapshot.id)
        run_job(BackupJob(access=self.access, volume="shop_db", image=image, created=NOW))
        pool.remove_snapshot("shop_db", snapshot.id)

    def fill_pool(self, leave_bytes: int) -> Path:
        """Afterwards the pool has about so much room left."""
        free = os.statvfs(self.places.pool)
        filler = self.places.pool / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - leave_bytes)
        return filler

    @contextmanager
    def slowly(self) -> Iterator[RepositoryAccess]:
        """The same repository, where every request takes half a second."""
        with misbehaving(str(self.access.address.endpoint)) as proxy:
            proxy.plan = lambda asked: "slow"
            address = self.access.address.model_copy(update={"endpoint": proxy.endpoint})
            yield self.access.model_copy(update={"address": address})

    @contextmanager
    def once_begun(self, act: Callable[[], object]) -> Iterator[None]:
        """Inside, `act` is done as soon as a restore has begun, long before its first bytes are here."""
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                if self.left():
                    act()
                    return
                time.sleep(0.01)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()

    def left(self) -> list[Path]:
        return [*self.places.pool.glob("making/*"), *self.places.pool.glob("volumes/back*")]


@pytest.fixture
def site(places: Places, seaweedfs: SeaweedFS) -> Iterator[Site]:
    with running_pool(places) as pool:
        yield Site(places, pool, seaweedfs, 64, 24)


def test_a_backup_becomes_a_volume_and_restoring_it_twice_is_once(site: Site) -> None:
    done = restore_into_pool(site.pool, wanted("back", mib=64, tier="gold"), site.access, "shop_db", 1)
    assert (done.volume.mounted, done.volume.trouble, done.volume.labels["tier"]) == (True, "", "gold")
    assert done.report is not None
    assert done.report.restored_bytes > 24 * MIB
    assert (Path(done.volume.data) / "table").read_bytes() == site.content
    (Path(done.volume.data) / "table").write_bytes(b"in use again")
    site.pool.unmount("back")
    again = restore_into_pool(site.pool, wanted("back", mib=64), site.access, "shop_db", 1)
    assert (again.report, again.volume.mounted) == (None, True)
    assert (Path(again.volume.data) / "table").read_bytes() == b"in use again"
    with pytest.raises(Refused, match="already"):
        restore_into_pool(site.pool, wanted("back", mib=64, **{RUN: "another"}), site.access, "shop_db", 1)


def test_a_larger_volume_is_filled_by_its_file_system(site: Site) -> None:
    done = restore_into_pool(site.pool, wanted("back", mib=128), site.access, "shop_db", 1)
    assert (Path(done.volume.data) / "table").read_bytes() == site.content
    free = os.statvfs(done.volume.data)
    assert free.f_blocks * free.f_frsize > 110 * MIB


def test_a_smaller_volume_or_one_of_that_name_is_refused_and_nothing_is_left(site: Site) -> None:
    with pytest.raises(BadInput, match="larger volume"):
        restore_into_pool(site.pool, wanted("back", mib=32), site.access, "shop_db", 1)
    with pytest.raises(Refused, match="already"):
        restore_into_pool(site.pool, wanted("shop_db", mib=64), site.access, "shop_db", 1)
    assert site.left() == []
    assert (site.pool.mount("shop_db") / "table").read_bytes() == site.content


def test_a_pool_without_room_for_the_data_says_so_at_once(places: Places, seaweedfs: SeaweedFS) -> None:
    with running_pool(places) as pool:
        site = Site(places, pool, seaweedfs, 128, 90)
        site.fill_pool(80 * MIB)
        with pytest.raises(NoSpace, match="do not fit"):
            restore_into_pool(pool, wanted("back", mib=128), site.access, "shop_db", 1)
        assert site.left() == []


def test_a_pool_that_fills_up_meanwhile_says_so_and_gets_its_room_back(site: Site) -> None:
    with (
        site.slowly() as access,
        site.once_begun(lambda: site.fill_pool(64 << 10)),
        pytest.raises(NoSpace),
    ):
        restore_into_pool(site.pool, wanted("back", mib=64), access, "shop_db", 1)
    assert site.left() == []
    (site.places.pool / "filler").unlink()
    done = restore_into_pool(site.pool, wanted("back", mib=64), site.access, "shop_db", 1)
    assert (Path(done.volume.data) / "table").read_bytes() == site.content


def test_a_file_system_that_was_backed_up_damaged_is_found_by_a_thorough_restore_and_nothing_is_left(
    site: Site, tmp_path: Path
) -> None:
    """It says of itself that it is sound, so that mounting it looks at nothing."""
    image = tmp_path / "image"
    ext4.make(image, 64 * MIB)
    programs.run(["debugfs", "-w", "-R", "clri <2>", image])
    run_job(BackupJob(access=site.access, volume="shop_bad", image=image, created=NOW))
    with pytest.raises(ext4.Damaged, match="file system of volume back is damaged"):
        restore_into_pool(site.pool, wanted("back", mib=64), site.access, "shop_bad", 1, thoroughly=True)
    assert site.left() == []
    done = restore_into_pool(site.pool, wanted("back", mib=64), site.access, "shop_db", 1, thoroughly=True)
    assert (Path(done.volume.data) / "table").read_bytes() == site.content


def test_a_cancelled_restore_ends_soon_and_leaves_nothing(site: Site) -> None:
    cancelled = threading.Event()

    with site.slowly() as access, site.once_begun(cancelled.set), pytest.raises(Cancelled):
        restore_into_pool(site.pool, wanted("back", mib=64), access, "shop_db", 1, cancelled=cancelled)
    assert site.left() == []
    assert [one.name for one in site.pool.volumes()] == ["shop_db"]


def test_a_killed_restore_leaves_nothing_once_the_next_verb_ran_and_its_process_goes_too(site: Site) -> None:
    with site.slowly() as access:
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                restore_into_pool(site.pool, wanted("back", mib=64), access, "shop_db", 1)
            os._exit(0)
        until(lambda: bool(list(site.places.pool.glob("making/back/*.partial"))), "the restore is writing", 30)
        (fetching,) = [int(pid) for pid in Path(f"/proc/{child}/task/{child}/children").read_text().split()]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        until(lambda: not Path(f"/proc/{fetching}").exists(), "the process that fetched has ended", 5)
    site.pool.bring_back()
    assert site.left() == []
    done = restore_into_pool(site.pool, wanted("back", mib=64), site.access, "shop_db", 1)
    assert (Path(done.volume.data) / "table").read_bytes() == site.content
