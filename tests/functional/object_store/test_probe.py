"""What the probe finds on a real SeaweedFS, and what it concludes about servers that honour less."""

from __future__ import annotations

import pytest

from stampede.backup.honoured import Honoured
from stampede.blocks.object_store import S3Store
from stampede.blocks.object_store.probe import probe
from stampede.blocks.object_store.s3 import s3_client
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional


def test_a_plain_bucket_of_seaweedfs_takes_several_writers_and_cannot_lock(seaweedfs: SeaweedFS) -> None:
    address = seaweedfs.address(seaweedfs.bucket(), "some/prefix")
    found = probe(address)
    assert found == Honoured(
        conditional_put=True, one_winner=True, ranges=True, md5_checked=True, versioning=False, object_lock=False
    )
    assert found.usable
    assert found.several_writers
    assert found.follows == ("its bucket has no object lock: who has the access key can delete all backups",)


def test_the_probe_leaves_nothing(seaweedfs: SeaweedFS) -> None:
    bucket = seaweedfs.bucket()
    probe(seaweedfs.address(bucket, "prefix"))
    store = S3Store(seaweedfs.address(bucket))
    assert list(store.list("")) == []
    store.close()


def test_versions_and_object_lock_of_a_bucket_are_found(seaweedfs: SeaweedFS) -> None:
    address = seaweedfs.address(f"{seaweedfs.bucket()}-lock")
    client = s3_client(address)
    client.create_bucket(Bucket=address.bucket, ObjectLockEnabledForBucket=True)
    client.close()
    found = probe(address)
    assert (found.versioning, found.object_lock) == (True, True)
    assert found.follows == ()


def test_a_server_that_ignores_conditions_is_usable_by_one_writer() -> None:
    found = Honoured(
        conditional_put=False, one_winner=False, ranges=True, md5_checked=True, versioning=False, object_lock=True
    )
    assert found.usable
    assert not found.several_writers
    assert "only one host" in found.follows[0]
