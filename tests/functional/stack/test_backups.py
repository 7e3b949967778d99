"""Backups of stacks as their users make them: real containers and volumes, a real S3 server, the command line."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from stampede.blocks.object_store import S3Store
from stampede.tasks.last_backups import read_backups
from tests.functional.stack.conftest import installation_of_its_own
from tests.lab.installation import Installation, until
from tests.lab.receivers import webhook
from tests.lab.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS, running_seaweedfs
from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional

MIB = 1 << 20


@pytest.fixture(scope="module")
def installation(docker_client: docker.DockerClient) -> Iterator[Installation]:
    """With room for what these tests make."""
    with installation_of_its_own(docker_client, "2G") as own:
        yield own


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A server that these tests may stop."""
    with running_seaweedfs(tmp_path_factory.mktemp("weed")) as own:
        yield own


@pytest.fixture(scope="module")
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def bucket(server: SeaweedFS) -> str:
    return server.bucket()


@pytest.fixture(scope="module")
def key_file(installation: Installation) -> Path:
    return installation.root / "recovery.key"


@pytest.fixture(scope="module")
def offsite(installation: Installation, server: SeaweedFS, bucket: str, key_file: Path, credentials: None) -> str:
    """A store whose key is confirmed."""
    at = ("--endpoint", server.endpoint)
    installation.run("store", "add", "offsite", f"s3://{bucket}/main", *at, "--key-out", str(key_file))
    installation.run("store", "key", "confirm", "offsite", "--key-file", str(key_file))
    return "offsite"


def app(*keys: str) -> dict[str, Any]:
    return {"db": sleeper(volumes=[f"{key}:/{key}" for key in keys])}


def volumes(store: str, *keys: str, **policy: Any) -> dict[str, Any]:
    return {key: {"x-size": "64M", "x-backups": {"store": store, **policy}} for key in keys}


def write(stack: LabStack, path: str, text: str) -> None:
    inside(stack.containers("db")[0], "sh", "-ec", f"echo {text} >{path}; sync")


def fill(stack: LabStack, path: str, mib: int) -> None:
    inside(stack.containers("db")[0], "sh", "-ec", f"dd if=/dev/urandom of={path} bs=1M count={mib}; sync")


def read(stack: LabStack, path: str) -> str:
    return inside(stack.containers("db")[0], "cat", path)


def in_volume(installation: Installation, volume: str, file: str) -> str:
    """A file of a volume that no container has."""
    return (installation.places.volumes / volume / "data" / file).read_text().strip()


def backed_up(stack: LabStack, *words: str) -> dict[str, Any]:
    return dict(stack.installation.run("backup", "run", stack.name, *words, "--json").json)


def listed(stack: LabStack, *words: str) -> list[dict[str, Any]]:
    return list(stack.installation.run("backup", "ls", stack.name, *words, "--json").json)


def test_a_stack_is_backed_up_at_one_moment_and_then_only_what_changed(stack: LabStack, offsite: str) -> None:
    stack.up(app("data", "files"), volumes=volumes(offsite, "data", "files"))
    fill(stack, "/data/big", 16)
    write(stack, "/files/name", "first")
    first = backed_up(stack)
    assert [one["volume"] for one in first["volumes"]] == [f"{stack.name}/data", f"{stack.name}/files"]
    assert {one["created"] for one in first["volumes"]} == {first["volumes"][0]["created"]}
    big = first["volumes"][0]
    assert (big["backup"], big["store"], big["logical_bytes"]) == (1, offsite, 64 * MIB)
    assert big["uploaded_bytes"] > 16 * MIB
    assert {"changed_bytes", "requests", "duration_s"} <= big.keys()

    write(stack, "/files/name", "second")
    second = backed_up(stack)
    assert [one["backup"] for one in second["volumes"]] == [2, 2]
    assert all(one["uploaded_bytes"] < MIB for one in second["volumes"])
    noted = [one for one in read_backups(stack.installation.places) if one.stack == stack.name]
    assert [
        (one.volume, one.succeeded, one.last_good == one.ended) for one in sorted(noted, key=lambda one: one.volume)
    ] == [
        ("data", True, True),
        ("files", True, True),
    ]
    assert {one.stored_bytes for one in noted} == {one["uploaded_bytes"] for one in second["volumes"]}
    kept = stack.installation.run("snapshot", "ls", stack.name, "--json").json
    assert [(one["volume"], one["taken_by"]) for one in kept] == [("data", "backup"), ("files", "backup")]
    assert [(one["name"], one["backup"]) for one in listed(stack)] == [
        (f"{stack.name}/{key}", number) for key in ("data", "files") for number in (1, 2)
    ]
    assert {(one["host"], one["stack"], one["size_bytes"]) for one in listed(stack)} == {("h1", stack.name, 64 * MIB)}


def test_backups_are_waited_for_from_the_deploy_that_schedules_them(stack: LabStack, offsite: str) -> None:
    def told() -> list[str]:
        resource = {"id": [f"stampede.volume.{stack.name}.data"]}
        asked = {"filter": {"resource": resource, "event": {"prefix": ["stampede.backup."]}, "order": "ASC"}}
        return [one["event"] for one in stack.installation.read("/events/filter", asked)["events"]]

    stack.up(app("data"), volumes=volumes(offsite, "data", schedule="monthly"))
    until(lambda: told() == ["stampede.backup.scheduled"], "the schedule is told")
    with webhook() as receiver:
        file = stack.folder / "url"
        file.write_text(receiver.url)
        add = ("notify", "add", stack.name, "--stack", stack.name, "--backup-age", "10s", "--url-file", str(file))
        stack.installation.run(*add)
        until(lambda: receiver.about(f"{stack.name}/data: no good backup for 10 s"), "the message arrives")
        backed_up(stack)
        until(lambda: len(receiver.got) == 2, "the good one is missed anew")
        assert "The last good one ended at" in receiver.got[1]["text"]
        stack.installation.run("notify", "rm", stack.name)
    stack.up(app("data"), volumes=volumes(offsite, "data"))
    until(lambda: told()[-1] == "stampede.backup.unscheduled", "that nobody waits any more is told")


def test_backups_come_back_as_new_volumes_and_in_place(stack: LabStack, offsite: str) -> None:
    stack.up(app("data"), volumes=volumes(offsite, "data"))
    write(stack, "/data/name", "first")
    backed_up(stack)
    write(stack, "/data/name", "second")
    backed_up(stack)
    write(stack, "/data/name", "third")
    name = f"{stack.name}/data"

    plan = stack.installation.run("backup", "restore", name, "--backup", "1", "--dry-run", "--json").json
    assert (plan["volumes"], plan["plan"]) == ([], [f"{name}@1 as {name}-restored-1"])
    new = stack.installation.run("backup", "restore", name, "--backup", "1", "--json").json
    assert [one["volume"] for one in new["volumes"]] == [f"{name}-restored-1"]
    assert in_volume(stack.installation, f"{stack.name}_data-restored-1", "name") == "first"
    assert read(stack, "/data/name") == "third"

    before = stack.ids("db")
    done = stack.installation.run("backup", "restore", name, "--in-place", "--yes", "--json").json
    assert read(stack, "/data/name") == "second"
    assert stack.ids("db") == before
    assert done["revision"] == 1
    assert f"stop {stack.name}-db-1: it has the volume open" in done["plan"]
    (safety,) = [
        one for one in stack.installation.run("snapshot", "ls", name, "--json").json if one["taken_by"] == "restore"
    ]
    stack.installation.run("snapshot", "restore", name, safety["id"], "--yes", "--json")
    assert read(stack, "/data/name") == "third"


def test_a_stack_comes_back_where_it_has_never_been(
    stack: LabStack,
    offsite: str,
    server: SeaweedFS,
    bucket: str,
    key_file: Path,
    docker_client: docker.DockerClient,
) -> None:
    secret = secrets.token_hex(8)
    services = {"db": sleeper(volumes=["data:/data"], environment={"SECRET": secret})}
    stack.up(services, volumes={**volumes(offsite, "data"), "cache": {}})
    write(stack, "/data/name", "precious")
    backed_up(stack)
    stack.do("down", "--volumes", "--yes")

    with installation_of_its_own(docker_client) as elsewhere:
        at = (f"s3://{bucket}/main", "--endpoint", server.endpoint, "--key-file", str(key_file), "--take-over")
        added = elsewhere.run("store", "add", "rescue", *at, "--json").json
        assert added["volumes"] >= 1
        assert [one["name"] for one in elsewhere.run("backup", "ls", stack.name, "--json").json] == [
            f"{stack.name}/data"
        ]
        done = elsewhere.run("backup", "restore", stack.name, "--stack", "--json").json
        assert (done["revision"], [one["volume"] for one in done["volumes"]]) == (1, [f"{stack.name}/data"])
        here = LabStack(stack.name, elsewhere.root, elsewhere, stack.docker)
        assert read(here, "/data/name") == "precious"
        assert inside(here.containers("db")[0], "sh", "-c", "echo $SECRET") == secret
        refused = elsewhere.run("backup", "restore", stack.name, "--stack", code=6)
        assert "is deployed here" in refused.err
        # The file says `offsite`, which is called `rescue` here.
        assert "there is no store offsite" in elsewhere.run("backup", "run", stack.name, code=2).err
        elsewhere.run("store", "rm", "rescue", "--yes")
        elsewhere.run("store", "add", "offsite", *at, "--json")
        assert backed_up(here)["volumes"][0]["backup"] == 2
        elsewhere.run("down", "-p", stack.name, "--volumes", "--yes")
        shown = "".join(
            elsewhere.read(f"/{kind}/filter", {"limit": 200}).__repr__()
            for kind in ("flow_runs", "task_runs", "artifacts", "logs")
        )
        assert secret not in shown


def test_a_run_that_was_killed_goes_on_and_one_that_was_cancelled_ends_its_process(
    stack: LabStack, offsite: str
) -> None:
    stack.up(app("data"), volumes={"data": {"x-size": "256M", "x-backups": {"store": offsite}}})
    fill(stack, "/data/big", 160)
    name = f"{stack.name}/data"
    running = stack.installation.begin("backup", "run", name, "--json")
    until(lambda: processes(), "a process backs up")
    stack.installation.kill("worker")
    done = stack.installation.end(running).json
    assert done["volumes"][0]["backup"] >= 1
    assert stack.installation.run("backup", "verify", name, "--json").json["bad"] == []
    assert len(stack.installation.run("snapshot", "ls", name, "--json").json) == 1

    fill(stack, "/data/big", 160)
    detached = stack.installation.run("backup", "run", name, "--detach", "--json").json["run"]["id"]
    until(lambda: processes(), "a process backs up")
    stack.installation.run("cancel", detached)
    assert stack.installation.wait_for_run(detached)["state_type"] == "CANCELLED"
    until(lambda: not processes(), "it has ended", 20)
    before = [one["backup"] for one in listed(stack)]
    assert backed_up(stack)["volumes"][0]["backup"] == before[-1] + 1


def processes() -> list[str]:
    """Those that back up."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"stampede.blocks.backups\0" in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_a_server_that_is_away_for_a_while_is_waited_for(stack: LabStack, offsite: str, server: SeaweedFS) -> None:
    stack.up(app("data"), volumes=volumes(offsite, "data"))
    server.kill()
    running = stack.installation.begin("backup", "run", stack.name, "--json")
    try:
        until(lambda: processes(), "a process backs up")
    finally:
        server.start()
    assert stack.installation.end(running).json["volumes"][0]["backup"] == 1


def test_what_is_damaged_is_named_with_the_backups_and_mended_by_the_next(
    stack: LabStack, offsite: str, server: SeaweedFS, bucket: str
) -> None:
    stack.up(app("data"), volumes=volumes(offsite, "data"))
    fill(stack, "/data/big", 8)
    backed_up(stack)
    store = S3Store(server.address(bucket, "main"))
    pack = max(store.list(f"v/{stack.name}~2Fdata/p/"), key=lambda found: found.size)
    content = bytearray(store.get(pack.name))
    content[1000] ^= 1
    store.put(pack.name, content)
    name = f"{stack.name}/data"
    found = stack.installation.run("backup", "verify", name, "--json", code=1).json
    assert found["damaged"] == [f"{name}@1"]
    assert [(one["object"], one["backups"]) for one in found["bad"]] == [(pack.name, [1])]
    assert found["checked_bytes"] > 0
    refused = stack.installation.run("backup", "restore", name, code=1)
    assert "cannot be restored" in refused.err
    mended = backed_up(stack)["volumes"][0]["backup"]
    restored = stack.installation.run("backup", "restore", name, "--json").json
    assert [one["backup"] for one in restored["volumes"]] == [mended]
    store.close()


def test_retention_follows_the_file_and_prune_says_why(stack: LabStack, offsite: str) -> None:
    stack.up(app("data"), volumes=volumes(offsite, "data", keep={"last": 2}))
    dropped = []
    for text in ("one", "two", "three"):
        write(stack, "/data/name", text)
        dropped.append(backed_up(stack)["volumes"][0]["dropped"])
    assert dropped == [[], [], [1]]
    asked = ("backup", "prune", f"{stack.name}/data", "--keep", "last=1", "--json")
    (trial,) = stack.installation.run(*asked, "--dry-run").json["volumes"]
    assert [(one["backup"], one["keep"]) for one in trial["decisions"]] == [(3, True), (2, False)]
    assert [one["backup"] for one in listed(stack)] == [2, 3]
    stack.installation.run(*asked)
    assert [one["backup"] for one in listed(stack)] == [3]


def test_what_cannot_be_backed_up_is_said(
    stack: LabStack, server: SeaweedFS, bucket: str, offsite: str, installation: Installation
) -> None:
    unready = f"s-{secrets.token_hex(3)}"
    stack.up(app("data"), volumes=volumes(unready, "data"))
    assert f"there is no store {unready}" in stack.installation.run("backup", "run", stack.name, code=2).err
    at = (f"s3://{bucket}/{unready}", "--endpoint", server.endpoint)
    installation.run("store", "add", unready, *at)
    refused = stack.installation.run("backup", "run", stack.name, code=6).err
    assert f"stampede store key confirm {unready}" in refused
    assert "has no managed volume nothing" in installation.run("backup", "run", f"{stack.name}/nothing", code=2).err
    assert "there is no backup" in installation.run("backup", "restore", stack.name, "--store", offsite, code=1).err
    stack.up(app("data"), volumes={"data": {"x-size": "64M"}})
    assert "has x-backups" in installation.run("backup", "run", stack.name, code=2).err
    installation.run("store", "rm", unready, "--yes")
