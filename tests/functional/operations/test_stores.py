"""Stores on a whole installation and a real S3 server, as their users add and check them."""

from __future__ import annotations

import json
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import open_repository
from stampede.blocks.object_store import S3Store
from stampede.blocks.object_store.s3 import s3_client
from tests.functional.operations.conftest import Site
from tests.lab.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS, free_ports

pytestmark = pytest.mark.functional


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual variables, and nothing of this machine's own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def bucket(seaweedfs: SeaweedFS) -> str:
    return seaweedfs.bucket()


@pytest.fixture
def name(site: Site) -> Iterator[str]:
    """A name that no other store of the site has; afterwards there is no store of this name."""
    made = f"s-{secrets.token_hex(3)}"
    yield made
    site.stampede("store", "rm", made, "--yes", check=False)


@pytest.fixture
def address(bucket: str, name: str) -> str:
    return f"s3://{bucket}/{name}/backups"


def stores(site: Site) -> dict[str, Any]:
    return {each["name"]: each for each in site.told("store", "ls")}


def test_a_store_is_added_confirmed_checked_and_forgotten(
    site: Site, seaweedfs: SeaweedFS, name: str, address: str
) -> None:
    added = site.stampede("store", "add", name, address, "--endpoint", seaweedfs.endpoint)
    shown = re.search(r"^recovery key: ((?:[0-9A-Z]{4}-){8}[0-9A-Z]{4})$", added.out, re.MULTILINE)
    assert shown
    assert "no object lock" in added.err
    assert f"stampede store key confirm {name}" in added.err
    listed = stores(site)[name]
    assert (listed["address"], listed["ready"], listed["confirmed"]) == (address, True, False)
    assert listed["several_writers"] is True

    key_file = site.root / "key"
    key_file.write_text(shown[1].lower().replace("-", " "))
    site.stampede("store", "key", "confirm", name, "--key-file", key_file)
    assert stores(site)[name]["confirmed"] is True

    checked = site.told("store", "check", name)
    assert (checked["repository"], checked["hosts"], checked["volumes"]) == (listed["repository"], ["h1"], 0)
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    store = S3Store(seaweedfs.address(bucket, prefix))
    assert open_repository(store, recovery_key=shown[1]).repository == listed["repository"]
    assert [found.name for found in store.list("")] == ["repo"]

    site.stampede("store", "rm", name, "--yes")
    assert name not in stores(site)
    assert [found.name for found in store.list("")] == ["repo"]
    store.close()


def test_the_recovery_key_goes_to_a_file_of_its_owner(
    site: Site, seaweedfs: SeaweedFS, name: str, address: str
) -> None:
    file = site.root / f"{name}.key"
    told = site.told("store", "add", name, address, "--endpoint", seaweedfs.endpoint, "--key-out", file)
    key = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in json.dumps(told)
    assert site.told("store", "key", "export", name)["recovery_key"] == key
    site.stampede("store", "key", "confirm", name, "--key-file", file)


def test_another_installation_joins_with_the_recovery_key(
    site: Site, seaweedfs: SeaweedFS, name: str, address: str
) -> None:
    first = site.told("store", "add", name, address, "--endpoint", seaweedfs.endpoint, "--key-out", "-")
    site.stampede("store", "rm", name, "--yes")
    file = site.root / f"{name}.key"
    file.write_text(first["recovery_key"])
    second = site.told("store", "add", name, address, "--endpoint", seaweedfs.endpoint, "--key-file", file)
    assert second["repository"] == first["repository"]
    assert second["origin"] != first["origin"]
    assert stores(site)[name]["confirmed"] is True


def refused(site: Site, name: str, address: str, *words: str | Path) -> tuple[int, str]:
    """How it ends and what it says; nothing is left of it."""
    before = stores(site)
    ended = site.stampede("store", "add", name, address, *words, check=False)
    assert stores(site) == before
    return ended.code, ended.err


def test_a_repository_that_is_there_is_not_made_anew(site: Site, seaweedfs: SeaweedFS, name: str, address: str) -> None:
    at = ("--endpoint", seaweedfs.endpoint)
    site.stampede("store", "add", name, address, *at)
    site.stampede("store", "rm", name, "--yes")
    code, said = refused(site, name, address, *at)
    assert code == 6
    assert f"there is a repository of backups at {address} already" in said
    assert "--key-file" in said
    file = site.root / f"{name}.other"
    file.write_text(new_recovery_key())
    code, said = refused(site, name, address, *at, "--key-file", file)
    assert code == 1
    assert f"does not open the repository at {address}" in said


def test_a_lock_needs_a_bucket_that_locks(site: Site, seaweedfs: SeaweedFS, name: str, address: str) -> None:
    code, said = refused(site, name, address, "--endpoint", seaweedfs.endpoint, "--lock-days", "1")
    assert (code, "locks no objects" in said) == (6, True)
    locking = seaweedfs.address(f"{seaweedfs.bucket()}-lock")
    client = s3_client(locking)
    client.create_bucket(Bucket=locking.bucket, ObjectLockEnabledForBucket=True)
    at = ("--endpoint", seaweedfs.endpoint, "--lock-days", "1")
    assert site.told("store", "add", name, f"s3://{locking.bucket}/x", *at)["warnings"] == []
    held = client.get_object_retention(Bucket=locking.bucket, Key="x/repo")["Retention"]
    assert held.get("Mode") == "GOVERNANCE"
    site.stampede("store", "check", name)
    longer = client.get_object_retention(Bucket=locking.bucket, Key="x/repo")["Retention"]
    assert longer["RetainUntilDate"] > held["RetainUntilDate"]
    client.close()


def test_a_prefix_that_was_mistyped_is_not_joined(site: Site, seaweedfs: SeaweedFS, name: str, address: str) -> None:
    file = site.root / f"{name}.key"
    file.write_text(new_recovery_key())
    code, said = refused(site, name, address, "--endpoint", seaweedfs.endpoint, "--key-file", file)
    assert code == 1
    assert f"there is no repository of backups at {address}" in said
    site.stampede("store", "add", name, address, "--endpoint", seaweedfs.endpoint, "--key-file", file, "--new")


def test_names_and_addresses_are_taken_once(site: Site, seaweedfs: SeaweedFS, name: str, address: str) -> None:
    at = ("--endpoint", seaweedfs.endpoint)
    site.stampede("store", "add", name, address, *at)
    code, said = refused(site, name, f"{address}/other", *at)
    assert (code, f"there is a store {name} already" in said) == (6, True)
    code, said = refused(site, f"{name}-2", address, *at)
    assert (code, f"is store {name} already" in said) == (6, True)


def test_wrong_credentials_are_said_with_the_host_and_change_nothing(
    site: Site, seaweedfs: SeaweedFS, name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    file = site.root / f"{name}.key"
    code, said = refused(site, name, address, "--endpoint", seaweedfs.endpoint, "--key-out", file)
    assert code == 1
    assert "from h1: " in said
    assert "refuses this access key" in said
    assert "wrong" not in said
    assert not file.exists()


def test_a_bucket_that_is_missing_is_named(site: Site, seaweedfs: SeaweedFS, name: str) -> None:
    code, said = refused(site, name, f"s3://no-such-{name}/x", "--endpoint", seaweedfs.endpoint)
    assert (code, "there is no such bucket" in said) == (1, True)


def test_a_server_that_is_down_is_said_within_a_minute(site: Site, name: str) -> None:
    code, said = refused(site, name, "s3://bucket/x", "--endpoint", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert (code, "did not answer" in said) == (1, True)


def test_without_credentials_and_somebody_to_ask_nothing_begins(
    site: Site, name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    code, said = refused(site, name, address)
    assert (code, "AWS_ACCESS_KEY_ID" in said) == (2, True)


def test_nothing_secret_is_in_runs_artifacts_or_logs(site: Site, seaweedfs: SeaweedFS, name: str, address: str) -> None:
    told = site.told("store", "add", name, address, "--endpoint", seaweedfs.endpoint, "--key-out", "-")
    with site.http() as http:
        seen = [
            http.post(f"/{kind}/filter", json={"limit": 200}).text
            for kind in ("flow_runs", "task_runs", "artifacts", "logs", "block_documents")
        ]
    for secret in (told["recovery_key"], SECRET_KEY):
        assert not [text for text in seen if secret in text]
