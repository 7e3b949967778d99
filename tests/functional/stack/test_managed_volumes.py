"""Managed volumes of a stack: what x-size, x-snapshots, x-backups and x-hooks do on a real host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.lab.installation import until
from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional

MIB = 1 << 20


def database(**more: object) -> dict[str, dict[str, object]]:
    return {"db": sleeper(volumes=["data:/data"], **more)}


def test_a_volume_with_a_size_is_managed(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "64M"}})
    container = stack.containers("db")[0]
    inside(container, "sh", "-c", "echo kept >/data/file")
    blocks = int(inside(container, "sh", "-c", "df -k /data | tail -1").split()[1])
    assert 40 * 1024 < blocks <= 64 * 1024
    assert inside(container, "ls", "-A", "/data") == "file"
    made = stack.docker.volumes.get(f"{stack.name}_data")
    assert made.attrs["Options"]["o"] == "bind"
    assert made.attrs["Options"]["device"].startswith(str(stack.installation.places.volumes))


def test_what_fills_its_volume_is_told_and_no_other_notices(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    code, said = stack.containers("db")[0].exec_run(["dd", "if=/dev/zero", "of=/data/big", "bs=1M", "count=64"])
    assert code == 1
    assert b"No space left on device" in said


def test_a_volume_grows_with_its_file_and_never_shrinks(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    stack.do("down")
    stack.up(database(), volumes={"data": {"x-size": "64M"}})
    assert int(inside(stack.containers("db")[0], "sh", "-c", "df -k /data | tail -1").split()[1]) > 40 * 1024
    (warning,) = stack.up(database(), volumes={"data": {"x-size": "32M"}})["warnings"]
    assert warning.startswith("volumes.data.x-size: ")
    assert warning.endswith("holds 64.0 MiB and stays so: a volume never shrinks")


def test_a_volume_that_has_data_never_becomes_a_managed_one_in_silence(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {}})
    inside(stack.containers("db")[0], "sh", "-c", "echo kept >/data/file")
    stack.write(database(), volumes={"data": {"x-size": "32M"}})
    said = stack.do("up", code=6).err
    assert f"stampede volume adopt {stack.name}/data" in said
    assert inside(stack.containers("db")[0], "cat", "/data/file") == "kept"


def test_down_keeps_the_data_and_with_volumes_it_is_gone(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    inside(stack.containers("db")[0], "sh", "-c", "echo kept >/data/file")
    stack.do("down")
    stack.up()
    assert inside(stack.containers("db")[0], "cat", "/data/file") == "kept"
    stack.do("down", "--volumes", "--yes")
    assert not (stack.installation.places.volumes / f"{stack.name}_data").exists()
    assert stack.docker.volumes.list(filters={"name": f"{stack.name}_data"}) == []


def write(stack: LabStack, text: str, service: str = "db", path: str = "/data/file") -> None:
    inside(stack.containers(service, everything=False)[0], "sh", "-c", f"echo {text} >{path}; sync")


def read(stack: LabStack, service: str = "db", path: str = "/data/file") -> str:
    return inside(stack.containers(service, everything=False)[0], "cat", path)


def test_a_snapshot_is_restored_in_place_and_that_can_be_undone(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    write(stack, "before")
    took = stack.do("snapshot", "create", f"{stack.name}/data").json
    (snapshot,) = took["snapshots"]
    assert (snapshot["name"], snapshot["taken_by"], snapshot["host"]) == (f"{stack.name}/data", "hand", "h1")
    write(stack, "after")
    container = stack.ids("db")
    did = stack.do("snapshot", "restore", f"{stack.name}/data", snapshot["id"], "--yes").json
    assert read(stack) == "before"
    assert stack.ids("db") == container
    assert [each["action"] for each in did["changes"]] == ["restore", "stop", "start"]
    safety = [s for s in stack.do("snapshot", "ls", f"{stack.name}/data").json if s["taken_by"] == "restore"]
    stack.do("snapshot", "restore", f"{stack.name}/data", safety[0]["id"], "--yes")
    assert read(stack) == "after"


def test_several_volumes_have_one_moment_and_go_back_together(stack: LabStack) -> None:
    services = {"db": sleeper(volumes=["data:/data", "logs:/logs"])}
    stack.up(services, volumes={"data": {"x-size": "32M"}, "logs": {"x-size": "32M"}})
    write(stack, "one")
    write(stack, "one", path="/logs/file")
    taken = stack.do("snapshot", "create", stack.name).json["snapshots"]
    assert len({one["id"] for one in taken}) == 1
    assert {one["consistency"] for one in taken} == {"frozen"}
    write(stack, "two")
    write(stack, "two", path="/logs/file")
    planned = stack.do("snapshot", "restore", stack.name, "--dry-run").json
    assert read(stack) == "two"
    assert [each["action"] for each in planned["changes"]] == ["restore", "restore", "stop"]
    stack.do("snapshot", "restore", stack.name, "--yes")
    assert (read(stack), read(stack, path="/logs/file")) == ("one", "one")


def test_a_snapshot_goes_back_into_its_own_volume_only(stack: LabStack) -> None:
    services = {"db": sleeper(volumes=["data:/data", "logs:/logs"])}
    stack.up(services, volumes={"data": {"x-size": "32M"}, "logs": {"x-size": "32M"}})
    (one,) = stack.do("snapshot", "create", f"{stack.name}/data").json["snapshots"]
    said = stack.do("snapshot", "restore", f"{stack.name}/logs", one["id"], "--yes", code=2).err
    assert f"snapshot {one['id']} is of data, not of {stack.name}/logs" in said


def test_hooks_run_around_a_snapshot(stack: LabStack) -> None:
    hooks = {"before_snapshot": "echo held >/data/state", "after_snapshot": ["sh", "-c", "echo free >/data/state"]}
    stack.up(database(**{"x-hooks": hooks}), volumes={"data": {"x-size": "32M"}})
    (one,) = stack.do("snapshot", "create", f"{stack.name}/data").json["snapshots"]
    assert read(stack, path="/data/state") == "free"
    stack.do("snapshot", "restore", f"{stack.name}/data", one["id"], "--yes")
    assert read(stack, path="/data/state") == "held"


def test_a_hook_that_fails_is_told_and_the_other_one_runs_nevertheless(stack: LabStack) -> None:
    hooks = {"before_snapshot": "echo no room >&2; exit 3", "after_snapshot": "echo free >/data/state"}
    stack.up(database(**{"x-hooks": hooks}), volumes={"data": {"x-size": "32M"}})
    said = stack.do("snapshot", "create", f"{stack.name}/data", code=1).err
    assert f"x-hooks.before_snapshot of {stack.name}-db-1 ended with 3: no room" in said
    assert read(stack, path="/data/state") == "free"
    assert stack.do("snapshot", "ls", f"{stack.name}/data").json == []


def test_a_clone_is_a_volume_of_its_own(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    write(stack, "original")
    made = stack.do("volume", "clone", f"{stack.name}/data", "copy").json
    assert (made["name"], made["size_bytes"]) == (f"{stack.name}/copy", 32 * MIB)
    write(stack, "changed")
    both = {**database(), "reader": sleeper(volumes=["copy:/data"])}
    stack.up(both, volumes={"data": {"x-size": "32M"}, "copy": {"x-size": "32M"}})
    assert (read(stack), read(stack, "reader")) == ("changed", "original")
    assert f"{stack.name}/copy is used by reader" in stack.do("volume", "rm", f"{stack.name}/copy", "--yes", code=6).err


def test_volumes_are_made_resized_listed_and_removed(stack: LabStack) -> None:
    stack.up(database(), volumes={"data": {"x-size": "32M"}})
    stack.do("volume", "create", f"{stack.name}/extra", "--size", "16M")
    stack.do("volume", "resize", f"{stack.name}/data", "48M")
    listed = {each["volume"]: each for each in stack.do("volume", "ls", stack.name).json}
    assert {key: each["size_bytes"] for key, each in listed.items()} == {"data": 48 * MIB, "extra": 16 * MIB}
    assert int(inside(stack.containers("db")[0], "sh", "-c", "df -k /data | tail -1").split()[1]) > 40 * 1024
    stack.do("volume", "rm", f"{stack.name}/extra", "--yes")
    assert [each["volume"] for each in stack.do("volume", "ls", stack.name).json] == ["data"]


def test_snapshots_are_taken_on_schedule(stack: LabStack) -> None:
    often = {"schedule": "* * * * *", "keep": {"last": 1}}
    stack.up(database(), volumes={"data": {"x-size": "32M", "x-snapshots": often}})
    stack.do("snapshot", "create", f"{stack.name}/data")

    def scheduled() -> list[str]:
        return [s["id"] for s in stack.do("snapshot", "ls", stack.name).json if s["taken_by"] == "schedule"]

    until(lambda: len(scheduled()) == 1, "the first snapshot is taken on schedule")
    first = scheduled()
    until(lambda: scheduled() not in (first, []), "the next one has taken its place")
    assert len(scheduled()) == 1
    assert len(stack.do("snapshot", "ls", stack.name).json) == 2  # the one taken by hand stays


def test_missed_snapshots_are_caught_up_once(stack: LabStack) -> None:
    policy = {"x-size": "32M", "x-snapshots": {"schedule": "monthly"}}
    stack.up(database(), volumes={"data": policy})
    deployment = stack.installation.read(f"/deployments/name/snapshot-stack/{stack.name}")["id"]
    runs = []
    for minutes in (40, 30, 20, 10):
        due = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
        late = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        asked = {"parameters": {"volumes": ["data"], "scheduled": True}, "state": late}
        runs.append(stack.installation.read(f"/deployments/{deployment}/create_flow_run", asked)["id"])
    assert {stack.installation.wait_for_run(run)["state_type"] for run in runs} == {"COMPLETED"}
    assert [s["taken_by"] for s in stack.do("snapshot", "ls", stack.name).json] == ["schedule"]


def test_schedules_follow_the_file(stack: LabStack) -> None:
    def schedules(flow: str) -> list[tuple[str, object]]:
        found = stack.installation.read(f"/deployments/name/{flow}/{stack.name}")["schedules"]
        return [(one["schedule"]["cron"], one["parameters"]) for one in found if one["slug"]]

    policy = {"x-size": "32M", "x-snapshots": {"schedule": "*/15 * * * *"}}
    stack.up({"db": sleeper(volumes=["data:/a", "logs:/b"])}, volumes={"data": policy, "logs": policy})
    assert schedules("snapshot-stack") == [("*/15 * * * *", {"volumes": ["data", "logs"], "scheduled": True})]
    stack.up(
        {"db": sleeper(volumes=["data:/a", "logs:/b"], environment={"A": "1"})},
        volumes={"data": policy, "logs": policy},
    )
    assert len(schedules("snapshot-stack")) == 1
    other = {"x-size": "32M", "x-snapshots": {"schedule": "daily"}}
    stack.up({"db": sleeper(volumes=["data:/a", "logs:/b"])}, volumes={"data": other, "logs": {"x-size": "32M"}})
    assert schedules("snapshot-stack") == [("0 3 * * *", {"volumes": ["data"], "scheduled": True})]
    stack.do("down")
    left = stack.installation.read("/deployments/filter", {"deployments": {"name": {"any_": [stack.name]}}})
    assert left == []


def test_a_rollback_with_data_brings_back_what_the_revision_had(stack: LabStack) -> None:
    policy = {"data": {"x-size": "32M", "x-snapshots": {"before_deploy": True}}}
    stack.up(database(environment={"V": "1"}), volumes=policy)
    write(stack, "of-the-first")
    stack.up(database(environment={"V": "2"}), volumes=policy)
    assert read(stack) == "of-the-first"
    write(stack, "of-the-second")
    did = stack.do("rollback", "--with-data", "--yes").json
    assert did["revision"] == 1
    assert read(stack) == "of-the-first"
    assert {s["taken_by"] for s in stack.do("snapshot", "ls", stack.name).json} == {"deploy", "restore"}
    said = stack.do("rollback", "2", "--with-data", "--yes", code=2).err
    assert "there is no snapshot of the data that revision 2" in said


def test_a_restore_that_is_cancelled_starts_again_what_it_stopped(stack: LabStack) -> None:
    stubborn = sleeper(
        volumes=["data:/data"], command=["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], stop_grace_period="8s"
    )
    stack.up({"db": stubborn}, volumes={"data": {"x-size": "32M"}})
    write(stack, "before")
    (one,) = stack.do("snapshot", "create", f"{stack.name}/data").json["snapshots"]
    write(stack, "after")
    going = stack.begin("snapshot", "restore", f"{stack.name}/data", one["id"], "--yes")
    run = stack.run_under_way()
    until(lambda: "stopping" in stopping_steps(stack, run), "the instance is being stopped")
    stack.installation.run("cancel", run)
    assert stack.installation.wait_for_run(run)["state_type"] == "CANCELLED"
    stack.end(going, code=3)
    assert read(stack) == "after"


def stopping_steps(stack: LabStack, run: str) -> str:
    """`stopping` once the host has been told to stop what uses the volume."""
    children = stack.installation.read("/flow_runs/filter", {"flow_runs": {"name": {"like_": "stop what uses"}}})
    return "stopping" if any(f"stack:{stack.name}" in child["tags"] for child in children) else ""
