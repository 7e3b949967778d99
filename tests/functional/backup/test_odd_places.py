"""Names that could mislead a server or a path, and buckets that keep versions, on a real SeaweedFS."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stampede.backup.catalogue import backups, catalogue
from stampede.backup.prune import prune
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import Keys, create_repository, open_repository
from stampede.backup.restore import restore
from stampede.backup.verify import verify
from stampede.backup.writer import About, Source, backup
from stampede.blocks.object_store import S3Store
from stampede.blocks.object_store.s3 import s3_client
from stampede.errors import BadInput, Foreign
from stampede.extents import Range
from stampede.retention import Retention
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIZE = 300_001
VOLUMES = ["shop_db", "..", ".hidden", "a.b", "größe und mehr", "shop/uploads", "日本", "%2e%2e", "a+b&c=d?e#f", "~"]


def back_up(store: S3Store, keys: Keys, volume: str, folder: Path, origin: str = "home") -> bytes:
    image = folder / "image"
    image.write_bytes(os.urandom(SIZE))
    with image.open("rb") as file:
        source = Source(file.fileno(), SIZE, [Range(0, SIZE)])
        backup(store, keys, volume, source, About(created=NOW, origin=origin))
    return image.read_bytes()


@pytest.mark.parametrize("prefix", ["", "a", "ünï cödé/x.y", "a//b", "with+plus&and=equals", "日本/.../~"])
def test_volumes_of_any_name_below_any_prefix_are_listed_and_restored(
    seaweedfs: SeaweedFS, tmp_path: Path, prefix: str
) -> None:
    store, key = S3Store(seaweedfs.address(seaweedfs.bucket(), prefix)), new_recovery_key()
    keys = create_repository(store, key, NOW)
    contents = {volume: back_up(store, keys, volume, tmp_path) for volume in VOLUMES}
    found = catalogue(store, open_repository(store, recovery_key=key))
    assert sorted(one.volume for one in found) == sorted(VOLUMES)
    for number, (volume, content) in enumerate(contents.items()):
        target = tmp_path / f"restored{number}"
        restore(store, keys, volume, target)
        assert target.read_bytes() == content
    store.close()


@pytest.mark.parametrize("prefix", ["..", "a/../b", "./a"])
def test_a_prefix_that_leads_elsewhere_is_refused(seaweedfs: SeaweedFS, prefix: str) -> None:
    with pytest.raises(BadInput, match="leave it out"):
        seaweedfs.address("bucket", prefix)


def test_clusters_on_one_prefix_do_not_mix_and_on_prefixes_of_their_own_do_not_meet(
    seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    bucket = seaweedfs.bucket()
    here, there = S3Store(seaweedfs.address(bucket, "a")), S3Store(seaweedfs.address(bucket, "a/b"))
    keys, others = create_repository(here, new_recovery_key(), NOW), create_repository(there, new_recovery_key(), NOW)
    content = back_up(here, keys, "shop_db", tmp_path, "home")
    with pytest.raises(Foreign, match="cluster home"):
        back_up(here, keys, "shop_db", tmp_path, "elsewhere")
    back_up(there, others, "shop_db", tmp_path, "elsewhere")
    assert [len(backups(*each, "shop_db")) for each in ((here, keys), (there, others))] == [1, 1]
    restore(here, keys, "shop_db", tmp_path / "restored")
    assert (tmp_path / "restored").read_bytes() == content
    here.close()
    there.close()


def test_a_bucket_that_keeps_versions_is_pruned_like_any_other(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    address = seaweedfs.address(seaweedfs.bucket())
    client = s3_client(address)
    client.put_bucket_versioning(Bucket=address.bucket, VersioningConfiguration={"Status": "Enabled"})
    client.close()
    store = S3Store(address)
    keys = create_repository(store, new_recovery_key(), NOW)
    for _ in range(3):
        content = back_up(store, keys, "shop_db", tmp_path)
    deleted = sum(prune(store, keys, "shop_db", Retention(last=1), grace=timedelta(0)).deleted_bytes for _ in range(3))
    assert deleted > 2 * SIZE
    assert verify(store, keys, "shop_db", NOW, "full").bad == ()
    restore(store, keys, "shop_db", tmp_path / "restored")
    assert (tmp_path / "restored").read_bytes() == content
    store.close()
