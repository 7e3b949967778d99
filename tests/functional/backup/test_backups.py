"""Backups by the real process, of images on a real XFS pool, into a real SeaweedFS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from stampede.backup.catalogue import catalogue
from stampede.backup.prune import PruneReport
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import Keys, create_repository, open_repository
from stampede.backup.restore import NoSpace, RestoreReport, restore
from stampede.backup.tables import BLOCK
from stampede.backup.verify import VerifyReport
from stampede.backup.writer import About, BackupReport, Source, backup
from stampede.blocks.backups import (
    BackupJob,
    ListJob,
    PruneJob,
    RepositoryAccess,
    RestoreJob,
    VerifyJob,
    run_job,
)
from stampede.blocks.extents import clone
from stampede.blocks.object_store import S3Store
from stampede.errors import Cancelled, StoreUnavailable, WrongCredentials
from stampede.extents import Range
from stampede.retention import Retention
from tests.lab.installation import until
from tests.lab.reflink import reflink_pool
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1 << 20
VOLUME = "shop_db"


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with reflink_pool(tmp_path_factory.mktemp("pool"), "xfs", 1024) as mount:
        yield mount


class Site:
    """A volume of 128 MiB with 96 MiB of data, and a repository of its own."""

    def __init__(self, server: SeaweedFS, bucket: str, prefix: str, folder: Path) -> None:
        self.folder = folder
        self.recovery_key = new_recovery_key()
        self.address = server.address(bucket, prefix)
        self.store = S3Store(self.address)
        self.keys = create_repository(self.store, self.recovery_key, NOW)
        master = SecretStr(self.keys.master.hex())
        self.access = RepositoryAccess(address=self.address, repository=self.keys.repository, master_key=master)
        self.image = folder / "image"
        with self.image.open("wb") as file:
            file.truncate(128 * MIB)
            for at in range(0, 96 * MIB, 16 * MIB):
                file.seek(at)
                file.write(os.urandom(16 * MIB))

    def snapshot(self, name: str) -> Path:
        path = self.folder / name
        with self.image.open("rb") as source, path.open("wb") as target:
            clone(source.fileno(), target.fileno())
        return path

    def write(self, at: int, content: bytes) -> None:
        with self.image.open("r+b") as file:
            file.seek(at)
            file.write(content)

    def job(self, image: Path, base_image: Path | None = None, base: int = 0) -> BackupJob:
        return BackupJob(
            access=self.access,
            volume=VOLUME,
            image=image,
            base_image=base_image,
            base=base,
            created=NOW,
            origin="home",
            spec='{"revision": 3}',
        )

    def back_up(self, image: Path, base_image: Path | None = None, base: int = 0) -> BackupReport:
        report = run_job(self.job(image, base_image, base))
        assert isinstance(report, BackupReport)
        return report

    def restored(self, backup: int | None = None) -> bytes:
        target = self.folder / "restored"
        report = run_job(RestoreJob(access=self.access, volume=VOLUME, target=target, backup=backup))
        assert isinstance(report, RestoreReport)
        content = target.read_bytes()
        target.unlink()
        return content

    def packs(self) -> list[str]:
        return [found.name for found in self.store.list(f"v/{VOLUME}/p/")]


@pytest.fixture(scope="module")
def bucket(seaweedfs: SeaweedFS) -> str:
    return seaweedfs.bucket()


@pytest.fixture
def site(seaweedfs: SeaweedFS, bucket: str, pool: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    folder = pool / request.node.name[:60]
    folder.mkdir()
    made = Site(seaweedfs, bucket, f"{request.node.name[:60]}/prefix", folder)
    yield made
    made.store.close()
    for path in folder.iterdir():
        path.unlink()


def test_second_backup_uploads_only_what_changed_and_both_come_back(site: Site) -> None:
    first = site.snapshot("first")
    report = site.back_up(first)
    assert report.data_bytes == 96 * MIB
    for number in range(100):
        site.write(number * 900_000 // BLOCK * BLOCK, os.urandom(BLOCK))
    second = site.snapshot("second")
    report = site.back_up(second, first, report.backup)
    assert report.changed_bytes == 100 * BLOCK
    assert report.uploaded_bytes < 1.2 * report.changed_bytes
    assert report.read_bytes < 8 * MIB
    assert site.restored(2) == second.read_bytes()
    assert site.restored(1) == first.read_bytes()


def test_an_unchanged_volume_costs_three_requests(site: Site) -> None:
    first = site.snapshot("first")
    site.back_up(first)
    report = site.back_up(site.snapshot("second"), first, 1)
    assert (report.requests, report.uploaded_bytes, report.read_bytes) == (3, 0, 0)


def test_holes_growth_and_a_lost_base_come_out_right(site: Site) -> None:
    first = site.snapshot("first")
    site.back_up(first)
    with site.image.open("r+b") as file:
        file.truncate(40 * MIB)
        file.truncate(200 * MIB)
    site.write(199 * MIB, b"the end")
    second = site.snapshot("second")
    site.back_up(second, first, 1)
    assert site.restored() == second.read_bytes()
    site.write(3, b"changed")
    third = site.snapshot("third")
    report = site.back_up(third, site.folder / "gone", 2)
    assert report.read_bytes >= 40 * MIB
    assert site.restored() == third.read_bytes()


def test_bucket_and_recovery_key_alone_are_enough(site: Site, tmp_path: Path) -> None:
    site.back_up(site.snapshot("first"))
    elsewhere = S3Store(site.address)
    keys = open_repository(elsewhere, recovery_key=site.recovery_key)
    assert [(one.volume, one.backup) for one in catalogue(elsewhere, keys)] == [(VOLUME, 1)]
    report = restore(elsewhere, keys, VOLUME, tmp_path / "restored")
    elsewhere.close()
    assert (tmp_path / "restored").read_bytes() == site.image.read_bytes()
    assert report.spec == '{"revision": 3}'


def test_damage_is_named_and_mended_by_the_next_backup(site: Site) -> None:
    first = site.snapshot("first")
    site.back_up(first)
    victim = site.packs()[2]
    content = bytearray(site.store.get(victim))
    content[5 * MIB] ^= 0x10
    site.store.put(victim, bytes(content))
    found = run_job(VerifyJob(access=site.access, volume=VOLUME, level="full"))
    assert isinstance(found, VerifyReport)
    (bad,) = found.bad
    assert (bad.object, bad.backups) == (victim, (1,))
    assert bad.start <= 5 * MIB < bad.end
    assert all(isinstance(block, Range) and block.end - block.start <= MIB for block in bad.blocks)
    report = site.back_up(site.snapshot("second"), first, 1)
    assert 0 < report.uploaded_bytes < 2 * MIB
    assert site.restored() == site.image.read_bytes()


def test_a_backup_that_is_killed_is_resumed_by_the_next(site: Site) -> None:
    first = site.snapshot("first")
    argv = [sys.executable, "-m", "stampede.blocks.backups"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(site.job(first).model_dump_json().encode())
    process.stdin.close()
    until(lambda: len(site.packs()) >= 2, "two packs are in the store", 60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    sent = len(site.packs())
    assert run_job(ListJob(access=site.access, volume=VOLUME)) == []
    report = site.back_up(first)
    assert report.changed_bytes == 96 * MIB
    assert report.uploaded_bytes < 97 * MIB - (sent - 1) * 16 * MIB
    assert site.restored() == first.read_bytes()


def test_a_cancelled_backup_ends_soon_and_is_resumed_by_the_next(site: Site) -> None:
    first, cancelled = site.snapshot("first"), threading.Event()

    def cancel_soon() -> None:
        until(lambda: len(site.packs()) >= 1, "a pack is in the store", 60)
        cancelled.set()

    cancelling = threading.Thread(target=cancel_soon)
    cancelling.start()
    slow = site.job(first)
    try:
        with pytest.raises(Cancelled):
            run_job(slow, cancelled=cancelled)
    finally:
        cancelling.join()
    sent = len(site.packs())
    report = site.back_up(first)
    assert report.uploaded_bytes < 97 * MIB - (sent - 1) * 16 * MIB
    assert site.restored() == first.read_bytes()


def test_errors_of_the_process_are_those_of_the_engine(site: Site) -> None:
    wrong = site.access.model_copy(update={"address": site.address.model_copy(update={"access_key": "nobody"})})
    with pytest.raises(WrongCredentials, match="access key") as caught:
        run_job(ListJob(access=wrong, volume=VOLUME))
    assert caught.value.hint


def test_credentials_are_in_no_argument_and_no_variable(site: Site) -> None:
    first, seen = site.snapshot("first"), list[bytes]()

    def look(done: int, of: int) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes()
                if b"stampede.blocks.backups" in arguments:
                    seen.append(arguments + (process / "environ").read_bytes())
            except OSError:
                continue

    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            look(0, 0)

    thread = threading.Thread(target=watch)
    thread.start()
    site.back_up(first)
    watching.set()
    thread.join()
    assert seen
    secret, master = site.address.secret_key.get_secret_value(), site.keys.master.hex()
    assert not any(secret.encode() in text or master.encode() in text for text in seen)


def test_eight_backups_at_once_all_get_a_number_of_their_own(site: Site) -> None:
    images = [site.folder / f"image{number}" for number in range(8)]
    for number, image in enumerate(images):
        image.write_bytes(b"%d" % number * 300_000)

    def back_up(image: Path) -> int:
        store = S3Store(site.address)
        with image.open("rb") as file:
            source = Source(file.fileno(), 300_000, [Range(0, 300_000)])
            report = backup(store, site.keys, VOLUME, source, About(created=NOW))
        store.close()
        return report.backup

    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(back_up, images))
    assert sorted(numbers) == list(range(1, 9))
    for number, image in zip(numbers, images, strict=True):
        assert site.restored(number) == image.read_bytes()


def test_prune_deletes_what_nothing_needs_and_leaves_the_rest(site: Site) -> None:
    first = site.snapshot("first")
    site.back_up(first)
    site.write(0, os.urandom(64 * MIB))
    second = site.snapshot("second")
    site.back_up(second, first, 1)
    before = len(site.packs())
    for _ in range(3):
        report = run_job(PruneJob(access=site.access, volume=VOLUME, rule=Retention(last=1), grace_s=0))
        assert isinstance(report, PruneReport)
    assert len(site.packs()) <= before - 3
    assert site.restored() == second.read_bytes()
    found = run_job(VerifyJob(access=site.access, volume=VOLUME, level="full"))
    assert isinstance(found, VerifyReport)
    assert (found.bad, found.backups) == ((), (2,))


def test_a_full_disk_says_so_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.back_up(site.snapshot("first"))
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", small], check=True)
    try:
        with pytest.raises(NoSpace, match="do not fit"):
            run_job(RestoreJob(access=site.access, volume=VOLUME, target=small / "image"))
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_store_that_dies_in_the_middle_and_comes_back_delays_a_backup_only(
    tmp_path_factory: pytest.TempPathFactory, pool: Path
) -> None:
    server = SeaweedFS(tmp_path_factory.mktemp("weed"))
    server.start()
    folder = pool / "dying"
    folder.mkdir()
    try:
        site = Site(server, server.bucket(), "prefix", folder)
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(site.back_up, site.snapshot("first"))
            until(lambda: len(site.packs()) >= 2, "two packs are in the store", 60)
            server.kill()
            with pytest.raises(StoreUnavailable):
                S3Store(site.address, patience_s=0.1).get("repo")
            server.start()
            report = running.result(120)
        assert report.backup == 1
        assert site.restored() == site.image.read_bytes()
        site.store.close()
    finally:
        server.kill()


def test_keys_are_needed(site: Site) -> None:
    site.back_up(site.snapshot("first"))
    other = Keys(site.keys.repository, os.urandom(32))
    with pytest.raises(Exception, match="by another key"):
        catalogue(site.store, other)
