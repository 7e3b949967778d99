"""Backups and restores where stores are away, volumes are lost and names are taken: nothing piles up or mixes up."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from prefect import flow

from stampede.errors import BackupError, Refused, StoreUnavailable, UnknownName
from stampede.flows.backups import backup_stack as backup_stack_module
from stampede.flows.backups.backup_stack import backup_stack
from stampede.flows.backups.restore import recover_stack, restore_backup
from stampede.flows.volumes.shaping import clone_volume
from stampede.flows.volumes.snapshot_stack import snapshot_stack
from stampede.locking import backups_of
from stampede.planning.changes import Outcome
from stampede.tasks import backups
from stampede.tasks.last_backups import read_backups
from stampede.tasks.locks import stack_lock
from stampede.volumes.labels import FETCHED, KEEP, KEY
from stampede.volumes.models import WantedVolume
from tests.fakes.volumes import FakeVolumePool
from tests.flows.backup_site import MIB, STORE, TEXT, Site, up


async def test_snapshots_of_backups_that_failed_do_not_pile_up(site: Site) -> None:
    await up(site)
    await site.back_up()

    def away(at: int, what: str) -> None:
        if what.startswith("backup"):
            raise StoreUnavailable("the store is away", "wait")

    for text in ("one", "two", "three"):
        site.write(text)
        site.peril = away
        with pytest.raises(StoreUnavailable):
            await site.back_up()
        assert site.kept_snapshots() == [2, 2]  # what the next one is compared with, and the one that failed
    site.peril = lambda at, what: None
    assert all(one.uploaded_bytes < MIB for one in (await site.back_up()).volumes)
    assert site.kept_snapshots() == [1, 1]


async def test_without_backups_in_the_file_no_snapshot_waits_for_the_next_one(site: Site) -> None:
    await up(site)
    await site.back_up()
    text = TEXT.format(keep="").replace("files: {x-size: 64M, x-backups: {store: offsite}}", "files: {x-size: 64M}")
    await site.lab.deploy(site.stack, text)
    assert site.kept_snapshots() == [1, 0]


async def test_a_scheduled_backup_waits_for_another_one(site: Site) -> None:
    await up(site)
    began, ends = asyncio.Event(), asyncio.Event()

    @flow
    async def another() -> None:
        async with stack_lock(backups_of(site.stack), who="", why="another"):
            began.set()
            await ends.wait()

    first = asyncio.create_task(another())
    await began.wait()
    second = asyncio.create_task(backup_stack(stack=site.stack, volumes=["data"], scheduled=True))
    await asyncio.sleep(2)
    assert not second.done()
    ends.set()
    await first
    assert [one.volume for one in (await second).volumes] == [f"{site.stack}/data"]


async def test_a_scheduled_backup_leaves_out_what_is_nowhere_and_fails_only_if_it_is_used(site: Site) -> None:
    await up(site)
    spare = TEXT.format(keep="") + "  spare: {x-size: 64M, x-backups: {store: offsite}}\n"
    await site.lab.deploy(site.stack, spare)
    with pytest.raises(UnknownName, match="spare"):
        await backup_stack(stack=site.stack, volumes=["data", "spare"])
    done = await backup_stack(stack=site.stack, volumes=["data", "spare"], scheduled=True)
    assert [one.volume for one in done.volumes] == [f"{site.stack}/data"]
    assert done.warnings == (f"{site.stack}/spare is not backed up: no host that answers has it",)
    taken = await snapshot_stack(stack=site.stack, volumes=["data", "spare"], scheduled=True)
    assert [one.volume for one in taken.snapshots] == ["data"]
    assert taken.warnings == (f"{site.stack}/spare has no snapshot: no host that answers has it",)
    site.lose("files")
    with pytest.raises(BackupError, match=f"has {site.stack}/files"):
        await backup_stack(stack=site.stack, volumes=["data", "files"], scheduled=True)
    assert await site.numbers() == {"data": [1, 2]}


async def test_of_volumes_that_are_called_the_same_the_one_in_the_file_is_backed_up(site: Site) -> None:
    await up(site)
    twin = WantedVolume(name="twin", stack=site.stack, size_bytes=64 * MIB, labels={KEY: "data"})
    FakeVolumePool.ensure_volume(site.pool, twin)
    await site.back_up()
    assert [len(site.pool.snapshots(name)) for name in ("twin", f"{site.stack}_data")] == [0, 1]


async def test_a_lost_volume_comes_back_under_the_name_that_its_file_says(site: Site) -> None:
    text = TEXT.format(keep="").replace("data: {x-size", "data: {name: precious, x-size")
    await site.lab.deploy(site.stack, text)
    await site.back_up()
    site.lose("data")
    done = await restore_backup(stack=site.stack, volumes=["data"], store=STORE)
    assert [one.volume for one in done.volumes] == [f"{site.stack}/data"]
    assert site.called() == {"data": "precious", "files": f"{site.stack}_files"}


async def test_no_volume_is_called_like_another_one_of_its_stack(site: Site) -> None:
    text = TEXT.format(keep="").replace("data: {x-size", "data: {name: precious, x-size")
    await site.lab.deploy(site.stack, text)
    await site.back_up()
    with pytest.raises(Refused, match=f"{site.stack}/data exists already"):
        await restore_backup(stack=site.stack, volumes=["files"], store=STORE, to="data")
    with pytest.raises(Refused, match=f"{site.stack}/data exists already"):
        await clone_volume(stack=site.stack, volume="files", new="data")
    assert len(site.pool.volumes(site.stack)) == 2


async def test_a_restore_that_goes_on_restores_once_and_another_one_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await up(site)
    await site.back_up()
    with monkeypatch.context() as patch:
        patch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(uuid4()))
        for _ in range(2):
            done = await restore_backup(stack=site.stack, volumes=["data"], store=STORE)
            assert [one.volume for one in done.volumes] == [f"{site.stack}/data-restored-1"]
    done = await restore_backup(stack=site.stack, volumes=["data"], store=STORE)
    assert [one.volume for one in done.volumes] == [f"{site.stack}/data-restored-1-2"]
    with pytest.raises(Refused, match="exists already"):
        await restore_backup(stack=site.stack, volumes=["data"], store=STORE, to="data-restored-1")


async def test_a_recovery_leaves_out_volumes_that_the_newest_revision_has_no_more(site: Site) -> None:
    await up(site)
    await site.back_up()
    text = TEXT.format(keep="").replace(', "files:/files"', "")
    await site.lab.deploy(site.stack, text[: text.index("  files:")])
    await site.back_up()
    await site.lab.remove(site.stack, volumes=True)
    planned = await recover_stack(stack=site.stack, store=STORE, dry_run=True)
    assert planned.plan == (f"{site.stack}/data@2 as {site.stack}/data",)
    assert [one.partition(",")[0] for one in planned.warnings] == [f"{site.stack}/files is left out"]


async def test_what_was_recovered_here_and_served_is_not_taken_for_a_backup(site: Site) -> None:
    await up(site)
    await site.back_up()
    await site.lab.remove(site.stack, volumes=True)
    await recover_stack(stack=site.stack, store=STORE)
    site.write("written since")
    await site.lab.remove(site.stack)
    with pytest.raises(Refused, match="already"):
        await recover_stack(stack=site.stack, store=STORE)


async def test_a_restore_in_place_that_fails_leaves_no_snapshot(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await up(site)
    await site.back_up()

    async def refuse(*_: object) -> Outcome:
        assert any(FETCHED in one.labels for one in site.pool.snapshots(f"{site.stack}_data"))
        raise Refused("something else uses it")

    monkeypatch.setattr("stampede.flows.volumes.restore_stack.go_back_to", refuse)
    with pytest.raises(Refused, match="something else uses it"):
        await restore_backup(stack=site.stack, volumes=["data"], store=STORE, in_place=True)
    assert [KEEP in one.labels for one in site.pool.snapshots(f"{site.stack}_data")] == [True]


async def test_metrics_do_not_remember_a_backup_whose_stack_was_removed_meanwhile(site: Site) -> None:
    await up(site)
    places, thin, told = site.lab.hosts["h1"].places, backups.let_earlier_go, list[str]()

    async def meanwhile(work: backups.Work) -> None:
        if not told:
            told.append(work.key)
            await site.lab.remove(site.stack)
        await thin(work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_stack_module, "let_earlier_go", meanwhile)
        await site.back_up()
    assert read_backups(places) == ()
    await site.lab.deploy(site.stack, TEXT.format(keep=""))
    await site.back_up()
    assert sorted(one.volume for one in read_backups(places)) == ["data", "files"]
