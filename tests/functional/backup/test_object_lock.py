"""Backups in a bucket with object lock, on a real SeaweedFS: nobody deletes what they need, and all else goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import SecretStr

from stampede.backup.prune import PruneReport
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import create_repository
from stampede.backup.store import Lock
from stampede.backup.verify import VerifyReport
from stampede.blocks.backups import BackupJob, PruneJob, RepositoryAccess, RestoreJob, VerifyJob, run_job
from stampede.blocks.object_store import S3Store
from stampede.blocks.object_store.s3 import s3_client
from stampede.errors import StoreRefused
from stampede.retention import Retention
from tests.lab.installation import until
from tests.lab.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.functional

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1 << 20
VOLUME = "shop_db"


class Site:
    """A repository in a bucket with object lock, and an image of 20 MiB."""

    def __init__(self, server: SeaweedFS, folder: Path, lock: Lock) -> None:
        self.folder, self.bucket = folder, f"{server.bucket()}-lock"
        self.address = server.address(self.bucket, "prefix")
        self.client: S3Client = s3_client(self.address)
        self.client.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=True)
        self.store = S3Store(self.address, lock=lock)
        keys = create_repository(self.store, new_recovery_key(), NOW)
        master = SecretStr(keys.master.hex())
        self.access = RepositoryAccess(address=self.address, repository=keys.repository, master_key=master, lock=lock)
        self.image = folder / "image"
        self.change()

    def change(self) -> bytes:
        content = os.urandom(20 * MIB)
        self.image.write_bytes(content)
        return content

    def back_up(self) -> None:
        run_job(BackupJob(access=self.access, volume=VOLUME, image=self.image, created=NOW))

    def prune(self) -> PruneReport:
        job = PruneJob(access=self.access, volume=VOLUME, rule=Retention(last=1), grace_s=0)
        report = run_job(job)
        assert isinstance(report, PruneReport)
        return report

    def restored(self) -> bytes:
        target = self.folder / "restored"
        run_job(RestoreJob(access=self.access, volume=VOLUME, target=target))
        content = target.read_bytes()
        target.unlink()
        return content

    def versions(self, folder: str = "") -> list[Any]:
        found = self.client.list_object_versions(Bucket=self.bucket, Prefix=f"prefix/{folder}")
        return list(found.get("Versions", ()))

    def end_of(self, key: str) -> datetime:
        found = self.client.get_object_retention(Bucket=self.bucket, Key=key)
        return found["Retention"]["RetainUntilDate"]

    def close(self) -> None:
        self.store.close()
        self.client.close()


@pytest.fixture(params=["governance", "compliance"])
def site(request: pytest.FixtureRequest, seaweedfs: SeaweedFS, tmp_path: Path) -> Iterator[Site]:
    mode: Literal["governance", "compliance"] = request.param
    made = Site(seaweedfs, tmp_path, Lock(mode=mode, days=10))
    yield made
    made.close()


def test_no_version_of_anything_that_was_written_can_be_deleted(site: Site) -> None:
    site.back_up()
    found = site.versions()
    assert len(found) >= 4  # repo, two packs, a commit
    for one in found:
        with pytest.raises(site.client.exceptions.ClientError, match="AccessDenied"):
            site.client.delete_object(Bucket=site.bucket, Key=one["Key"], VersionId=one["VersionId"])
        assert site.end_of(one["Key"]) > datetime.now(UTC) + timedelta(days=14)
    assert len(site.versions()) == len(found)
    assert site.restored() == site.image.read_bytes()


def test_pruning_keeps_what_is_locked_and_says_so(site: Site) -> None:
    site.back_up()
    site.change()
    site.back_up()
    packs = len(site.versions(f"v/{VOLUME}/p/"))
    for _ in range(3):
        report = site.prune()
    assert (report.deleted_bytes, report.locked_bytes > 20 * MIB) == (0, True)
    assert len(site.versions(f"v/{VOLUME}/p/")) == packs
    latest = site.change()
    site.back_up()
    found = run_job(VerifyJob(access=site.access, volume=VOLUME, level="full"))
    assert isinstance(found, VerifyReport)
    assert found.bad == ()
    assert site.restored() == latest


def test_locks_that_ended_are_deleted_with_all_versions_and_others_are_extended(
    seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    site = Site(seaweedfs, tmp_path, Lock(mode="compliance", days=4 / 86400))
    site.back_up()
    old = site.versions(f"v/{VOLUME}/p/")
    site.change()
    site.back_up()
    site.prune()

    def gone() -> bool:
        site.prune()
        return not {one["Key"] for one in old} & {one["Key"] for one in site.versions(f"v/{VOLUME}/p/")}

    until(gone, "the packs of the first backup are deleted", 30)
    began = datetime.now(UTC)
    site.back_up()
    left = site.versions(f"v/{VOLUME}/p/")
    assert min(site.end_of(one["Key"]) for one in left) > began + timedelta(seconds=3)
    assert site.restored() == site.image.read_bytes()
    site.close()


def test_extending_a_lock_that_somebody_extended_further_is_no_error(site: Site) -> None:
    site.store.put("once", b"content")
    far = datetime.now(UTC) + timedelta(days=100)
    site.store.extend_locks(["once", "not there"], far)
    site.store.extend_locks(["once"], far - timedelta(days=20))
    assert abs(site.end_of("prefix/once") - far) < timedelta(seconds=2)


def test_a_bucket_that_cannot_lock_says_so_at_once(seaweedfs: SeaweedFS) -> None:
    store = S3Store(seaweedfs.address(seaweedfs.bucket()), lock=Lock(mode="governance", days=1))
    with pytest.raises(StoreRefused, match=r"does not lock objects \(make a bucket with object lock"):
        store.put("a", b"x")
    with pytest.raises(StoreRefused, match="does not lock objects"):
        store.put_if_absent("a", b"x")
    store.close()
