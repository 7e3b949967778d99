"""Backups of stacks as flows: a real engine on a store in memory, killed or refused at every step, converges."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.tasks import Task
from pydantic import SecretStr

from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import create_repository
from stampede.backup.views import StackBackedUp
from stampede.blocks.backups import Answer, Job, into_pool
from stampede.blocks.backups import __main__ as process
from stampede.blocks.documents import Documents
from stampede.blocks.stores import StampedeStore, Stores
from stampede.blocks.volumes import ext4
from stampede.documents import head_name
from stampede.errors import BackupError, Foreign, Refused, StackLocked, StoreUnavailable, WrongKey
from stampede.flows.backups import backup_stack as backup_stack_module
from stampede.flows.backups.backup_stack import backup_stack
from stampede.flows.backups.drill import drill_restore
from stampede.flows.backups.looking import list_backups, prune_backups, verify_backups
from stampede.flows.backups.restore import recover_stack, restore_backup
from stampede.planning.changes import Outcome
from stampede.retention import Retention
from stampede.tasks import backup_bases, backup_jobs, backups, stores
from stampede.volumes.labels import KEEP, KEY
from stampede.volumes.room import SOFT_WATERMARK
from tests.fakes.object_store import FakeStore
from tests.fakes.volumes import FakeVolumePool
from tests.flows.lab import Lab
from tests.flows.perils import Killed
from tests.flows.test_interruptions import kill_at_every_step
from tests.flows.test_volumes import killed_once

STORE = "offsite"
TEXT = """
services:
  db:
    image: stampede-test/busybox:1
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    deploy: {{update_config: {{monitor: 0s}}}}
    volumes: ["data:/data", "files:/files"]
volumes:
  data: {{x-size: 64M, x-backups: {{store: offsite{keep}}}}}
  files: {{x-size: 64M, x-backups: {{store: offsite{keep}}}}}
"""
MIB = 1 << 20


class Site:
    """A stack with two volumes, and a store. Every step that has an effect passes `step`."""

    def __init__(self, lab: Lab, stack: str, store: FakeStore) -> None:
        self.lab, self.stack, self.store = lab, stack, store
        self.steps: list[str] = []
        self.peril: Callable[[int, str], None] = lambda number, what: None

    @property
    def pool(self) -> FakeVolumePool:
        pool = self.lab.hosts["h1"].pool
        assert isinstance(pool, FakeVolumePool)
        return pool

    def step(self, what: str) -> None:
        self.steps.append(what)
        self.peril(len(self.steps), what)

    def write(self, text: str) -> None:
        for volume in self.pool.volumes():
            (Path(volume.data) / "file").write_text(text)

    async def back_up(self) -> StackBackedUp:
        self.steps.clear()
        done: StackBackedUp = await backup_stack(stack=self.stack)
        return done

    def kept_snapshots(self) -> list[int]:
        """How many each volume has that wait for the next backup."""
        return [
            sum(KEEP in one.labels for one in self.pool.snapshots(volume.name))
            for volume in self.pool.volumes(self.stack)
        ]

    async def numbers(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for view in await list_backups(stack=self.stack, store=STORE):
            found.setdefault(view.volume, []).append(view.backup)
        return found


@pytest.fixture
async def site(lab: Lab, stack: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    store = FakeStore()
    made = Site(lab, stack, store)
    key = new_recovery_key()
    keys = create_repository(store, key, datetime.now(UTC))
    document = StampedeStore(
        bucket="bucket",
        access_key=SecretStr("id"),
        secret_key=SecretStr("secret"),
        recovery_key=SecretStr(key),
        master_key=SecretStr(keys.master.hex()),
        repository=keys.repository,
        origin="lab",
        ready=True,
        confirmed=True,
    )
    async with get_client() as client:
        await document.asave(STORE, overwrite=True, client=client)

    def run_job(job: Job, progress: Callable[[int, int], None], cancelled: threading.Event) -> Answer:
        made.step(f"{job.verb} {getattr(job, 'volume', '')}")
        return process._do(job, cancelled)

    def image_of(pool: FakeVolumePool, volume: str, snapshot: str) -> Path:
        """What the files of a snapshot come to as an image of 16 MiB."""
        held = pool._kept(pool._snapshot(volume, snapshot))
        image = tmp_path / f"{volume}@{snapshot}"
        image.write_bytes(b"".join(path.read_bytes() for path in sorted(held.glob("*"))).ljust(16 * MIB, b"\0"))
        return image

    def write_base(*words: Any) -> None:
        made.step("write base")
        backup_bases.write_base(*words)

    remove = FakeVolumePool.remove_snapshot

    def remove_snapshot(pool: FakeVolumePool, volume: str, snapshot: str) -> bool:
        made.step("remove snapshot")
        return remove(pool, volume, snapshot)

    for module in (backup_jobs, into_pool):
        monkeypatch.setattr(module, "run_job", run_job)
    monkeypatch.setattr(process, "S3Store", lambda address, **how: store.view())
    monkeypatch.setattr(backups, "write_base", write_base)
    monkeypatch.setattr(FakeVolumePool, "snapshot_image", image_of)
    monkeypatch.setattr(FakeVolumePool, "remove_snapshot", remove_snapshot)
    for task in [one for one in vars(backups).values() if isinstance(one, Task)]:
        monkeypatch.setattr(task, "retry_delay_seconds", [0.0] * 2)
    return made


async def up(site: Site, keep: str = "") -> None:
    await site.lab.deploy(site.stack, TEXT.format(keep=keep))
    site.write("first")


async def test_all_volumes_are_backed_up_and_a_second_time_nothing_is_sent(site: Site) -> None:
    await up(site)
    first = await site.back_up()
    assert [(one.volume, one.backup) for one in first.volumes] == [
        (f"{site.stack}/data", 1),
        (f"{site.stack}/files", 1),
    ]
    second = await site.back_up()
    assert [(one.backup, one.uploaded_bytes) for one in second.volumes] == [(2, 0), (2, 0)]
    assert site.kept_snapshots() == [1, 1]
    assert await site.numbers() == {"data": [1, 2], "files": [1, 2]}


async def test_a_dry_run_changes_nothing(site: Site) -> None:
    await up(site)
    planned = await backup_stack(stack=site.stack, dry_run=True)
    assert planned.planned == tuple(f"{site.stack}/{key} on h1 to {STORE}" for key in ("data", "files"))
    assert (site.steps, site.kept_snapshots(), list(site.store.objects)) == ([], [0, 0], ["repo"])


async def test_killed_before_any_step_the_next_run_converges(site: Site) -> None:
    """One step later each time; every other time the content has changed."""
    await up(site, keep=", keep: {last: 2}")
    await site.back_up()
    number, finished = 0, False
    while not finished:
        number += 1
        site.write(f"round {number}")

        def kill(at: int, what: str, number: int = number) -> None:
            if at >= number:
                raise Killed(what)

        site.peril = kill
        try:
            await site.back_up()
            finished = True
        except Killed:
            pass
        site.peril = lambda at, what: None
        done = await site.back_up()
        assert all(one.uploaded_bytes < MIB for one in done.volumes)
        assert site.kept_snapshots() == [1, 1]
        assert [len(numbers) for numbers in (await site.numbers()).values()] == [2, 2]
    assert number > 6
    assert (await verify_backups(stack=site.stack, store=STORE)).bad == ()


async def test_a_store_that_is_away_for_a_moment_is_asked_again_and_one_that_stays_away_fails_the_run(
    site: Site,
) -> None:
    await up(site)

    def away(at: int, what: str) -> None:
        if at == 1:
            raise StoreUnavailable("the store is away", "wait")

    site.peril = away
    assert len((await site.back_up()).volumes) == 2

    def gone(at: int, what: str) -> None:
        raise StoreUnavailable("the store is away", "wait")

    site.peril = gone
    with pytest.raises(StoreUnavailable):
        await site.back_up()
    site.peril = lambda at, what: None
    assert len((await site.back_up()).volumes) == 2
    assert site.kept_snapshots() == [1, 1]


async def test_a_stack_is_recovered_whenever_its_recovery_was_killed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await up(site)
    before = site.lab.world(site.stack)
    await site.back_up()
    with pytest.raises(Refused, match="is deployed here"):
        await recover_stack(stack=site.stack, store=STORE)
    await site.lab.remove(site.stack, volumes=True)
    assert site.pool.volumes(site.stack) == ()
    async with get_client() as client:  # as on a server that has never heard of it
        await client.delete_variable_by_name(head_name(site.stack))
        await Documents(client).delete_revision(site.stack, 1)

    async def recover() -> Outcome:
        done = await recover_stack(stack=site.stack, store=STORE)
        assert [one.volume for one in done.volumes] == [f"{site.stack}/data", f"{site.stack}/files"]
        return Outcome(stack=site.stack, revision=done.revision)

    assert await kill_at_every_step(site.lab, recover) > 3
    assert site.lab.world(site.stack) == before
    assert [volume.labels[KEY] for volume in site.pool.volumes(site.stack)] == ["data", "files"]


async def test_a_backup_that_would_fill_the_pool_is_not_fetched(site: Site) -> None:
    await up(site)
    await site.back_up()
    before = [(one.name, one.snapshots) for one in site.pool.volumes()]
    site.pool.used_bytes = int(site.pool.size_bytes * SOFT_WATERMARK) - 1
    with pytest.raises(Refused, match="too full"):
        await restore_backup(stack=site.stack, store=STORE, in_place=True)
    assert [(one.name, one.snapshots) for one in site.pool.volumes()] == before


async def test_another_cluster_does_not_go_on_with_backups_of_a_volume_of_this_name(site: Site) -> None:
    await up(site)
    await site.back_up()
    async with get_client() as client:
        await Stores(client).update(STORE, origin="another")
    with pytest.raises(Foreign, match="cluster lab backs up a volume of this name"):
        await site.back_up()


async def test_one_backup_of_a_stack_runs_at_a_time_and_keeps_no_deploy_waiting(site: Site) -> None:
    await up(site)
    began: list[str] = []
    refused: list[str] = []

    async def meanwhile(*words: Any, **more: Any) -> Any:
        if not began:
            began.append("the first of two volumes")
            with pytest.raises(StackLocked, match="is being backed up") as second:
                await backup_stack(stack=site.stack)
            refused.append(str(second.value))
            await site.lab.restart(site.stack)
        return await thin(*words, **more)

    thin = backups.let_earlier_go
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_stack_module, "let_earlier_go", meanwhile)
        await site.back_up()
    assert "stampede cancel" in refused[0]


async def test_a_store_whose_key_nobody_confirmed_gets_nothing(site: Site) -> None:
    await up(site)
    async with get_client() as client:
        await Stores(client).update(STORE, confirmed=False)
    with pytest.raises(Refused, match="recovery key"):
        await site.back_up()
    assert (site.steps, site.kept_snapshots(), list(site.store.objects)) == ([], [0, 0], ["repo"])


async def test_pruning_follows_what_is_said_and_tells_why(site: Site) -> None:
    await up(site)
    for text in ("one", "two", "three"):
        site.write(text)
        await site.back_up()
    trial = await prune_backups(stack=site.stack, volumes=["data"], keep=Retention(last=1), dry_run=True)
    assert [(one.backup, one.keep, one.reasons) for one in trial.volumes[0].decisions][:2] == [
        (3, True, ("last 1 of 1",)),
        (2, False, ("no rule keeps it",)),
    ]
    await prune_backups(stack=site.stack, volumes=["data"], keep=Retention(last=1))
    assert await site.numbers() == {"data": [3], "files": [1, 2, 3]}


@pytest.fixture
def drills(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The same, where file systems of restored volumes are sound: those here are none."""
    monkeypatch.setattr(stores, "S3Store", lambda address, **how: site.store.view())
    monkeypatch.setattr(stores, "closing", nullcontext)
    monkeypatch.setattr(ext4, "mend", lambda image, volume, *, thoroughly: None)
    return site


async def test_a_drill_killed_before_any_of_its_steps_leaves_nothing_once_another_has_run(drills: Site) -> None:
    await up(drills)
    await drills.back_up()
    before, scratch = drills.lab.world(drills.stack), f"{drills.stack}.drill"
    nothing = drills.lab.world(f"{scratch}-of-nobody")
    step, left = 1, 0
    while await killed_once(drills.lab, step, lambda: drill_restore(stack=drills.stack)):
        known = set(drills.lab.world(scratch)["volumes"])
        left += any(volume.name not in known for volume in drills.pool.volumes(scratch))
        report = await drill_restore(stack=drills.stack)
        assert (report.services, report.opened) == (("db",), (STORE,))
        assert drills.lab.world(scratch) == nothing, f"killed before step {step}"
        assert drills.pool.volumes(scratch) == (), f"killed before step {step}"
        step += 1
    assert step > 6
    assert left, "it was killed between a volume and Docker's knowing of it"
    assert drills.lab.world(drills.stack) == before


async def test_a_volume_that_left_the_file_is_drilled_only_by_itself(drills: Site) -> None:
    await up(drills)
    await drills.back_up()
    text = TEXT.format(keep="").replace(', "files:/files"', "")
    await drills.lab.deploy(drills.stack, "".join(line for line in text.splitlines(True) if "files:" not in line))
    await backup_stack(stack=drills.stack)
    report = await drill_restore(stack=drills.stack)
    assert report.volumes == (f"{drills.stack}/data",)
    assert report.warnings == (f"{drills.stack}/files is not drilled: the file has no such volume any more",)
    with pytest.raises(BackupError, match="files left the file"):
        await drill_restore(stack=drills.stack, volumes=["data", "files"])
    alone = await drill_restore(stack=drills.stack, volumes=["files"])
    assert (alone.volumes, alone.services) == ((f"{drills.stack}/files",), ("db",))


async def test_a_drill_fails_when_the_recovery_key_no_longer_opens_the_repository(drills: Site) -> None:
    await up(drills)
    await drills.back_up()
    async with get_client() as client:
        await Stores(client).update(STORE, recovery_key=new_recovery_key())
    with pytest.raises(WrongKey, match="does not open the repository"):
        await drill_restore(stack=drills.stack)
    assert drills.pool.volumes(f"{drills.stack}.drill") == ()
