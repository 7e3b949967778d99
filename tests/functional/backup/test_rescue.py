"""scripts/rescue.py against a real S3 server, in a process that cannot import Stampede."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import create_repository
from stampede.backup.writer import About, Source, backup
from stampede.blocks.object_store import S3Address, S3Store
from stampede.extents import Range
from tests.lab.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS
from tests.unit.backup.test_rescue import rescue

pytestmark = pytest.mark.functional

SIZE = 70_000_000


@pytest.fixture
def address(seaweedfs: SeaweedFS, tmp_path: Path) -> S3Address:
    """Of a repository that holds one backup of the file `image`; `key` has its recovery key."""
    address = seaweedfs.address(seaweedfs.bucket(), "some/prefix")
    (tmp_path / "key").write_text(new_recovery_key())
    (tmp_path / "image").write_bytes(os.urandom(SIZE))
    store = S3Store(address)
    keys = create_repository(store, (tmp_path / "key").read_text(), datetime.now(UTC))
    with (tmp_path / "image").open("rb") as file:
        source = Source(file.fileno(), SIZE, [Range(0, SIZE)])
        backup(store, keys, "shop_db", source, About(created=datetime.now(UTC)))
    store.close()
    return address


def ask(address: S3Address, folder: Path, *arguments: object, **changed: str) -> subprocess.CompletedProcess[str]:
    where = f"s3://{address.bucket}/{address.prefix}"
    known = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}
    environment = known | {"AWS_ENDPOINT_URL": address.endpoint or ""} | changed
    command, *others = arguments
    return rescue(command, where, *others, "--key-file", folder / "key", cwd=folder, **environment)


def test_a_backup_comes_back_from_the_bucket(address: S3Address, tmp_path: Path) -> None:
    assert ask(address, tmp_path, "list").stdout.startswith("shop_db  backup 1  ")
    ended = ask(address, tmp_path, "restore", "shop_db", "restored")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "restored").read_bytes() == (tmp_path / "image").read_bytes()


def test_a_pack_that_is_gone_is_named(address: S3Address, tmp_path: Path) -> None:
    store = S3Store(address)
    pack = [found.name for found in store.list("v/shop_db/p/")][1]
    store.delete([pack])
    store.close()
    ended = ask(address, tmp_path, "restore", "shop_db", "restored")
    assert (ended.returncode, f"{pack} is missing" in ended.stderr) == (3, True)


def test_a_server_that_refuses_or_is_away_is_said_without_a_traceback(address: S3Address, tmp_path: Path) -> None:
    for changed in ({"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}):
        ended = ask(address, tmp_path, "list", **changed)
        assert ended.returncode == 1
        assert ended.stderr.startswith("rescue: ")
        assert "Traceback" not in ended.stderr
