"""Snapshots, restores and sizes of managed volumes: what stops and starts, and what is left when a verb is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from stampede.errors import DaemonError, InUse, Refused, UnknownName, UpdateFailed
from stampede.flows.rollback_stack import rollback_stack
from stampede.flows.volumes.remaking import compact_volume, resize_volume
from stampede.flows.volumes.restore_stack import restore_stack
from stampede.flows.volumes.shaping import clone_volume, create_volume, remove_volume
from stampede.flows.volumes.snapshot_stack import snapshot_stack
from stampede.volumes.labels import TAKEN_BY
from stampede.volumes.models import Snapshot
from stampede.volumes.views import SnapshotsTaken
from tests.fakes.docker import Script
from tests.flows.lab import Lab
from tests.flows.perils import Killed

MIB = 1 << 20
APP = """
services:
  web:
    image: stampede-test/busybox:1
    depends_on: {{db: {{condition: service_healthy}}}}
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
  db:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{version}"}}
    volumes: ["data:/data"]
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    {more}
volumes: {{data: {{x-size: 32M{policy}}}}}
"""


def app(version: int = 1, *, more: str = "", policy: str = "") -> str:
    """A database on a managed volume, and a web tier that is not."""
    return APP.format(version=version, more=more, policy=policy)


def write(lab: Lab, stack: str, text: str) -> None:
    (lab.pool.mount(f"{stack}_data") / "file").write_text(text)


def read(lab: Lab, stack: str) -> str:
    return (lab.pool.mount(f"{stack}_data") / "file").read_text()


async def snapshot(stack: str) -> str:
    taken: SnapshotsTaken = await snapshot_stack(stack=stack)
    return taken.snapshots[0].id


async def test_a_restore_stops_what_has_the_volume_open_and_nothing_else(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    write(lab, stack, "before")
    taken = await snapshot(stack)
    write(lab, stack, "after")
    before, web = lab.world(stack), lab.found(stack, "web")
    lab.gate.calm()
    outcome = await restore_stack(stack=stack, snapshot=taken)
    assert read(lab, stack) == "before"
    assert lab.world(stack) == before
    assert lab.found(stack, "web") == web
    assert [(c.action.value, c.name) for c in outcome.changes] == [
        ("restore", f"{stack}/data"),
        ("stop", f"{stack}-db-1"),
        ("start", f"{stack}-db-1"),
    ]
    assert len([what for what in lab.gate.passed if what.startswith("stop")]) == 1


async def test_a_dry_run_says_what_would_stop_and_changes_nothing(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    write(lab, stack, "before")
    taken = await snapshot(stack)
    write(lab, stack, "after")
    lab.gate.calm()
    outcome = await restore_stack(stack=stack, snapshot=taken, dry_run=True)
    assert [c.action.value for c in outcome.changes] == ["restore", "stop"]
    assert outcome.dry_run
    assert lab.gate.passed == []
    assert read(lab, stack) == "after"


async def killed_once(lab: Lab, step: int, verb: Callable[[], Awaitable[object]]) -> bool:
    """The verb, killed before this side effect; whether it had that many."""
    lab.gate.calm()
    lab.gate.kill_at = step
    try:
        await verb()
    except Killed:
        return True
    finally:
        lab.gate.calm()
    return False


async def test_a_restore_killed_before_any_of_its_steps_is_finished_by_the_next_run(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    write(lab, stack, "before")
    taken = await snapshot(stack)
    end = lab.world(stack)
    step = 1
    while True:
        write(lab, stack, "after")
        killed = await killed_once(lab, step, lambda: restore_stack(stack=stack, snapshot=taken))
        assert read(lab, stack) in ("before", "after")
        if not killed:
            break
        await restore_stack(stack=stack, snapshot=taken)
        assert (read(lab, stack), lab.world(stack)) == ("before", end), f"killed before step {step}"
        step += 1
    assert step > 3
    kept = [s for s in lab.pool.snapshots(f"{stack}_data") if TAKEN_BY not in s.labels]
    assert len(kept) >= step  # what each of them replaced


async def test_a_deploy_starts_what_a_killed_restore_has_stopped(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    write(lab, stack, "before")
    taken = await snapshot(stack)
    assert await killed_once(lab, 2, lambda: restore_stack(stack=stack, snapshot=taken))
    assert lab.running(stack, "db") == []
    await lab.deploy(stack, app())
    assert len(lab.running(stack, "db")) == 1


async def test_a_restore_that_is_refused_starts_again_what_it_stopped(
    lab: Lab, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.deploy(stack, app())
    write(lab, stack, "before")
    taken = await snapshot(stack)

    def in_use(*_: object, **__: object) -> None:
        raise InUse("a backup program has it open")

    monkeypatch.setattr(lab.pool, "restore", in_use)
    with pytest.raises(InUse, match="a backup program"):
        await restore_stack(stack=stack, snapshot=taken)
    assert len(lab.running(stack, "db")) == 1


async def test_the_volumes_of_a_stack_that_does_not_run_are_restored_too(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    write(lab, stack, "before")
    taken = await snapshot(stack)
    write(lab, stack, "after")
    await lab.remove(stack)
    await restore_stack(stack=stack, snapshot=taken)
    assert read(lab, stack) == "before"
    assert lab.found(stack) == []


async def test_a_snapshot_killed_before_any_of_its_steps_leaves_none_or_a_whole_one(lab: Lab, stack: str) -> None:
    hooks = "x-hooks: {before_snapshot: [hold], after_snapshot: [release]}"
    await lab.deploy(stack, app(more=hooks))
    step = 1
    while await killed_once(lab, step, lambda: snapshot_stack(stack=stack)):
        step += 1
    (container,) = [c for c in lab.docker.by_name.values() if c.found.stack == stack and c.found.service == "db"]
    ran = [probe for probe in container.probes if probe in (("hold",), ("release",))]
    assert ran[-1] == ("release",)
    assert len(lab.pool.snapshots(f"{stack}_data")) == 1


async def test_scheduled_snapshots_go_when_the_file_keeps_fewer_and_others_stay(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app(policy=", x-snapshots: {schedule: hourly, keep: {last: 2}}"))
    by_hand = await snapshot(stack)
    for _ in range(4):
        await asyncio.sleep(0.002)
        await snapshot_stack(stack=stack, scheduled=True)
    known = [one.id for one in lab.pool.snapshots(f"{stack}_data")]
    assert len(known) == 3
    assert known[0] == by_hand


async def test_a_deploy_takes_a_snapshot_before_and_only_when_something_changes(lab: Lab, stack: str) -> None:
    policy = ", x-snapshots: {before_deploy: true}"
    await lab.deploy(stack, app(policy=policy))
    assert lab.pool.snapshots(f"{stack}_data") == ()
    write(lab, stack, "of-the-first")
    await lab.deploy(stack, app(policy=policy))
    assert lab.pool.snapshots(f"{stack}_data") == ()
    await lab.deploy(stack, app(2, policy=policy))
    (taken,) = lab.pool.snapshots(f"{stack}_data")
    assert (taken.labels["stampede.taken-by"], taken.labels["stampede.serving"]) == ("deploy", "1")


async def test_a_volume_grows_while_its_instance_stops_where_that_has_to_be(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    container = lab.found(stack, "db")[0].id
    outcome = await resize_volume(stack=stack, volume="data", size_bytes=64 * MIB)
    assert [c.action.value for c in outcome.changes] == ["update", "stop", "start"]
    assert lab.found(stack, "db")[0].id == container
    assert lab.pool.volumes(stack)[0].size_bytes == 64 * MIB
    with pytest.raises(Refused, match="does not shrink"):
        await resize_volume(stack=stack, volume="data", size_bytes=32 * MIB)
    assert len(lab.running(stack, "db")) == 1


async def test_a_volume_is_compacted_while_its_instance_stops(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    name = f"{stack}_data"
    lab.pool.extents[name] = 100_000
    with pytest.raises(Refused, match="`stampede volume compact` mends it"):
        await snapshot_stack(stack=stack)
    await compact_volume(stack=stack, volume="data")
    assert len(lab.running(stack, "db")) == 1
    await snapshot_stack(stack=stack)


async def test_a_volume_that_is_used_is_not_removed_and_one_of_its_own_is(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, app())
    with pytest.raises(Refused, match="is used by db"):
        await remove_volume(stack=stack, volume="data")
    await clone_volume(stack=stack, volume="data", new="copy")
    await create_volume(stack=stack, volume="extra", size_bytes=16 * MIB)
    for name in ("copy", "extra"):
        await remove_volume(stack=stack, volume=name)
    assert [volume.name for volume in lab.pool.volumes(stack)] == [f"{stack}_data"]
    with pytest.raises(UnknownName, match="has no managed volume extra"):
        await remove_volume(stack=stack, volume="extra")


async def test_removing_a_stack_with_its_volumes_killed_at_any_step_leaves_nothing(lab: Lab, stack: str) -> None:
    step, finished = 1, False
    while not finished:
        await lab.deploy(stack, app())
        finished = not await killed_once(lab, step, lambda: lab.remove(stack, volumes=True))
        await lab.remove(stack, volumes=True)
        assert lab.pool.volumes(stack) == ()
        assert lab.world(stack)["volumes"] == []
        step += 1
    assert step > 3


TWO = """
services:
  db:
    image: stampede-test/busybox:1
    volumes: ["data:/data", "logs:/logs"]
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
volumes: {{data: {{x-size: 32M}}, logs: {{x-size: 32M}}}}
"""


async def test_when_one_of_two_volumes_cannot_be_restored_neither_is(
    lab: Lab, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.deploy(stack, TWO.format())
    for name in ("data", "logs"):
        (lab.pool.mount(f"{stack}_{name}") / "file").write_text("before")
    taken = await snapshot(stack)
    for name in ("data", "logs"):
        (lab.pool.mount(f"{stack}_{name}") / "file").write_text("after")
    restore, end = lab.pool.restore, lab.world(stack)

    def not_the_logs(volume: str, snapshot: str, *, safety: str = "") -> Snapshot:
        if volume.endswith("_logs"):
            raise InUse("something else has the logs open")
        return restore(volume, snapshot, safety=safety)

    monkeypatch.setattr(lab.pool, "restore", not_the_logs)
    with pytest.raises(InUse, match="the logs open"):
        await restore_stack(stack=stack, snapshot=taken)
    assert read(lab, stack) == "after"
    assert (lab.pool.mount(f"{stack}_logs") / "file").read_text() == "after"
    assert lab.world(stack) == end


async def test_a_rollback_with_data_that_does_not_become_healthy_leaves_revision_and_data_as_they_were(
    lab: Lab, stack: str
) -> None:
    policy = ", x-snapshots: {before_deploy: true}"
    await lab.deploy(stack, app(policy=policy))
    write(lab, stack, "of-the-first")
    await lab.deploy(stack, app(2, policy=policy))
    write(lab, stack, "of-the-second")
    lab.docker.script(lambda instance: instance.service == "db" and instance.revision == 1, Script(never_healthy=True))
    with pytest.raises(UpdateFailed):
        await rollback_stack(stack=stack, revision=1, with_data=True)
    assert read(lab, stack) == "of-the-second"
    assert {found.revision for found in lab.found(stack, "db") if found.state == "running"} == {2}
    assert (await lab.head(stack)).serving == 2


async def test_a_rollback_with_data_brings_back_a_stack_that_was_removed(lab: Lab, stack: str) -> None:
    policy = ", x-snapshots: {before_deploy: true}"
    await lab.deploy(stack, app(policy=policy))
    write(lab, stack, "of-the-first")
    await lab.deploy(stack, app(2, policy=policy))
    write(lab, stack, "of-the-second")
    await lab.remove(stack)
    outcome = await rollback_stack(stack=stack, revision=1, with_data=True)
    assert outcome.revision == 1
    assert read(lab, stack) == "of-the-first"
    assert len(lab.running(stack, "db")) == 1


async def test_a_deploy_that_is_tried_again_keeps_what_the_serving_revision_had(lab: Lab, stack: str) -> None:
    policy = ", x-snapshots: {before_deploy: true}"
    await lab.deploy(stack, app(policy=policy))
    write(lab, stack, "of-the-first")
    text = app(2, more="deploy: {update_config: {monitor: 0s, failure_action: pause}}", policy=policy)
    lab.docker.script(lambda instance: instance.service == "db" and instance.revision >= 2, Script(never_healthy=True))
    for _ in range(2):
        with pytest.raises(UpdateFailed):
            await lab.deploy(stack, text)
        write(lab, stack, "half-migrated")
    (kept,) = lab.pool.snapshots(f"{stack}_data")
    assert kept.labels["stampede.serving"] == "1"
    await rollback_stack(stack=stack, revision=1, with_data=True)
    assert read(lab, stack) == "of-the-first"


async def test_every_hook_that_was_begun_is_ended_and_the_first_error_is_told(
    lab: Lab, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.deploy(
        stack, app(more="deploy: {replicas: 2}\n    x-hooks: {before_snapshot: [hold], after_snapshot: [go]}")
    )
    ran: list[tuple[str, str]] = []

    def probe(container: str, argv: list[str], timeout_s: float) -> tuple[int, str]:
        ran.append((container, argv[0]))
        return (3, "it is stuck") if argv[0] == "go" else (0, "")

    monkeypatch.setattr(lab.docker.containers, "exec_probe", probe)
    with pytest.raises(DaemonError, match=r"after_snapshot .* ended with 3: it is stuck \(the snapshot was taken"):
        await snapshot_stack(stack=stack)
    assert [word for _, word in ran] == ["hold", "hold", "go", "go"]
    assert len({container for container, _ in ran}) == 2
    assert len(lab.pool.snapshots(f"{stack}_data")) == 1
