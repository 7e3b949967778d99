"""Single files out of backups, and volumes used while they come out of one: real containers, a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.installation import Installation
from tests.lab.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS
from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional

MIB = 1 << 20


@pytest.fixture(scope="module")
def store(installation: Installation, seaweedfs: SeaweedFS) -> Iterator[str]:
    """Called `safe`; its key is confirmed."""
    key, bucket = installation.root / "restoring.key", seaweedfs.bucket()
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
