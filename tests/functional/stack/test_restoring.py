"""Single files out of backups, and volumes used while they come out of one: real containers, a real S3 server."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stampede.backup.repository import open_repository
from stampede.blocks.backups import RepositoryAccess
from stampede.blocks.object_store import S3Store
from stampede.blocks.volumes.arrivals import arrival_progress
from stampede.control_plane.processes import start_time
from tests.functional.backup.volumes import pack_of_files_only
from tests.lab.installation import Installation, until
from tests.lab.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS
from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional

MIB = 1 << 20


@pytest.fixture(scope="module")
def bucket(seaweedfs: SeaweedFS) -> str:
    return seaweedfs.bucket()


@pytest.fixture(scope="module")
def store(installation: Installation, seaweedfs: SeaweedFS, bucket: str) -> Iterator[str]:
    """Called `safe`; its key is confirmed."""
    key = installation.root / "restoring.key"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }.items():
            patch.setenv(name, value)
        at = ("--endpoint", seaweedfs.endpoint)
        installation.run("store", "add", "safe", f"s3://{bucket}/x", *at, "--key-out", str(key))
    installation.run("store", "key", "confirm", "safe", "--key-file", str(key))
    yield "safe"
    installation.run("store", "rm", "safe", "--yes")


def up(stack: LabStack, store: str, size: str = "64M") -> None:
    services = {"db": sleeper(volumes=["data:/data"])}
    stack.up(services, volumes={"data": {"x-size": size, "x-backups": {"store": store}}})


def in_container(stack: LabStack, script: str) -> str:
    return inside(stack.containers("db")[0], "sh", "-ec", script)


def backed_up(stack: LabStack) -> None:
    stack.installation.run("backup", "run", stack.name, "--json")


def restored(stack: LabStack, *words: str, code: int = 0) -> Any:
    ended = stack.installation.run("backup", "restore", f"{stack.name}/data", *words, "--json", code=code)
    return ended.json if code == 0 else ended.err


def test_single_files_come_back_beside_what_is_there_now(stack: LabStack, store: str, tmp_path: Path) -> None:
    up(stack, store)
    in_container(stack, "mkdir -p /data/site/old; echo first >/data/site/page; echo old >/data/site/old/page")
    in_container(stack, "chown 12:34 /data/site/page; chmod 640 /data/site/page; mkfifo /data/site/pipe")
    in_container(stack, "chmod 1777 /data; dd if=/dev/urandom of=/data/big bs=1M count=16; sync")
    backed_up(stack)
    in_container(stack, "rm -r /data/site/old; echo second >/data/site/page; sync")
    name, before = f"{stack.name}/data", stack.ids("db")

    found = stack.installation.run("backup", "ls", name, "--path", "/site", "--json").json
    assert [(one["path"], one["kind"], one["size_bytes"]) for one in found["entries"]] == [
        ("site/old", "folder", found["entries"][0]["size_bytes"]),
        ("site/page", "file", 6),
        ("site/pipe", "other", 0),
    ]
    assert (found["backup"], found["entries"][1]["uid"], found["entries"][1]["mode"]) == (1, 12, 0o640)
    assert 0 < found["received_bytes"] < 8 * MIB
    shown = stack.installation.run("backup", "ls", name, "--path", "site")
    assert "-rw-r----- 12:34" in " ".join(shown.out.split())

    plan = restored(stack, "--path", "site/page", "--dry-run")
    assert (plan["paths"], plan["files"], plan["dry_run"]) == (["site/page"], 0, True)
    assert in_container(stack, "ls -A /data") == "big\nsite"
    done = restored(stack, "--path", "/site", "--path", "site/page")
    assert (done["paths"], done["files"], done["folder"]) == (["site"], 2, "restored-1")
    assert done["left_out"] == ["site/pipe"]
    assert 0 < done["received_bytes"] < 8 * MIB
    assert in_container(stack, "cat /data/restored-1/site/page /data/site/page") == "first\nsecond"
    assert in_container(stack, "stat -c '%u:%g %a' /data/restored-1/site/page /data/restored-1") == (
        "12:34 640\n0:0 1777"
    )
    again = restored(stack, "--path", "site/old/page", "--backup", "1")
    assert again["folder"] == "restored-1-2"
    assert in_container(stack, "cat /data/restored-1-2/site/old/page") == "old"
    assert stack.ids("db") == before

    elsewhere = tmp_path / "out"
    done = restored(stack, "--path", "site/page", "--to-dir", str(elsewhere))
    assert (done["target"], done["folder"]) == (str(elsewhere), "")
    assert ((elsewhere / "site/page").read_text(), (elsewhere / "site/page").stat().st_gid) == ("first\n", 34)
    assert [one.name for one in elsewhere.iterdir()] == ["site"]
    refused = restored(stack, "--path", "site/page", "--to-dir", str(elsewhere), code=6)
    assert "is there already" in refused
    assert "there is no nothing in the backup" in restored(stack, "--path", "nothing", code=2)
    assert "is no path in a volume" in restored(stack, "--path", "../x", code=2)
    assert "is not absolute" in restored(stack, "--path", "x", "--to-dir", "out", code=2)
    assert not list((stack.installation.places.state / "file-restores").iterdir())


class Offsite:
    """What the bucket has, as somebody with the recovery key sees it."""

    def __init__(self, installation: Installation, server: SeaweedFS, bucket: str) -> None:
        self._places, self._address = installation.places, server.address(bucket, "x")
        self._key = (installation.root / "restoring.key").read_text().strip()

    def pack_of_files(self, stack: LabStack) -> str:
        """An object without which not all of the volume that was backed up last is here, but it can be used."""
        store = S3Store(self._address)
        keys = open_repository(store, recovery_key=self._key)
        store.close()
        access = RepositoryAccess(
            address=self._address, repository=keys.repository, master_key=SecretStr(keys.master.hex())
        )
        image = max((self._places.pool / "volumes" / f"{stack.name}_data/snapshots").glob("*/image"))
        return pack_of_files_only(access, image, f"{stack.name}/data")

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """The object cannot be had until the context ends."""
        store = S3Store(self._address)
        content = store.get(name)
        store.delete([name])
        try:
            yield
        finally:
            store.put(name, content)
            store.close()


@pytest.fixture
def offsite(installation: Installation, seaweedfs: SeaweedFS, bucket: str, store: str) -> Offsite:
    return Offsite(installation, seaweedfs, bucket)


def arriving(stack: LabStack) -> list[tuple[str, bool]]:
    """The volumes of the stack, and whether they are all here."""
    found = stack.installation.run("volume", "ls", stack.name, "--json").json
    return [(one["volume"], one["arriving"] is None) for one in found]


def bringers(stack: LabStack) -> list[int]:
    """Processes that bring volumes of the stack."""
    folder = stack.installation.places.pool / "arriving"
    found = [arrival_progress(path) for path in folder.glob(f"{stack.name}_*")]
    return [one.pid for one in found if one and start_time(one.pid) is not None]


def until_usable(stack: LabStack, volume: str) -> None:
    """Returns once it can be used."""
    place = stack.installation.places.volumes / f"{stack.name}_{volume}"
    until(lambda: (place / "data/name").exists(), f"{volume} can be used", 60)


def test_a_volume_is_used_while_it_comes_back_whatever_dies_meanwhile(
    stack: LabStack, store: str, offsite: Offsite
) -> None:
    up(stack, store, "96M")
    in_container(stack, "echo first >/data/name; dd if=/dev/urandom of=/data/big bs=1M count=64; sync")
    checksum = in_container(stack, "md5sum /data/big")
    backed_up(stack)
    pack = offsite.pack_of_files(stack)
    stack.do("down", "--volumes", "--yes")
    name = f"{stack.name}/data"
    assert restored(stack, "--instant", "--dry-run")["plan"] == [f"{name}@1 as {name}, at once"]

    with offsite.without(pack):
        running = stack.installation.begin("backup", "restore", name, "--instant", "--json")
        until_usable(stack, "data")
        assert arriving(stack) == [("data", False)]
        shown = stack.installation.run("volume", "ls", stack.name).out
        assert re.search(r"arriving \d+ %", shown)
        refused = stack.installation.run("snapshot", "create", name, code=6)
        assert "is still being restored" in refused.err
        stack.installation.kill("worker")
        (pid,) = bringers(stack)
        os.kill(pid, signal.SIGKILL)
        until(lambda: bringers(stack) not in ([], [pid]), "it is brought again", 90)
        up(stack, store, "96M")
        assert in_container(stack, "cat /data/name") == "first"
        in_container(stack, "echo second >/data/name; sync")
    done = stack.installation.end(running).json
    assert (done["arrived"]["volume"], done["arrived"]["finished"]) == (name, False)
    assert "it is in use" in done["warnings"][0]
    assert in_container(stack, "cat /data/name; md5sum /data/big") == f"second\n{checksum}"
    stack.do("down", "--yes")
    up(stack, store, "96M")
    assert (arriving(stack), bringers(stack)) == ([("data", True)], [])
    assert in_container(stack, "cat /data/name; md5sum /data/big") == f"second\n{checksum}"
    backed_up(stack)

    again = restored(stack, "--instant", "--backup", "1")
    assert (again["arrived"]["volume"], again["arrived"]["finished"]) == (f"{name}-restored-1", True)
    assert (again["warnings"], again["usable_s"] < 30) == ([], True)
    assert arriving(stack) == [("data", True), ("data-restored-1", True)]


def test_one_that_is_cancelled_or_removed_leaves_nothing(stack: LabStack, store: str, offsite: Offsite) -> None:
    up(stack, store, "96M")
    in_container(stack, "echo first >/data/name; dd if=/dev/urandom of=/data/big bs=1M count=64; sync")
    backed_up(stack)
    name, pack = f"{stack.name}/data", offsite.pack_of_files(stack)
    with offsite.without(pack):
        words = ("backup", "restore", name, "--instant", "--detach", "--json")
        run = stack.installation.run(*words).json["run"]["id"]
        until_usable(stack, "data-restored-1")
        stack.installation.run("cancel", run)
        assert stack.installation.wait_for_run(run)["state_type"] == "CANCELLED"
        until(lambda: arriving(stack) == [("data", True)] and not bringers(stack), "nothing is left", 30)

        run = stack.installation.run(*words, "--to", "copy").json["run"]["id"]
        until_usable(stack, "copy")
        stack.installation.run("volume", "rm", f"{stack.name}/copy", "--yes")
        assert stack.installation.wait_for_run(run)["state_type"] == "FAILED"
        assert (arriving(stack), bringers(stack)) == ([("data", True)], [])
    assert {one.name for one in stack.docker.volumes.list() if one.name.startswith(stack.name)} == {
        f"{stack.name}_data"
    }
