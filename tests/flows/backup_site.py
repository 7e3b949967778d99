"""A stack with two volumes and a store in memory, with a real engine between them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
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
from stampede.blocks.stores import StampedeStore
from stampede.flows.backups.backup_stack import backup_stack
from stampede.flows.backups.looking import list_backups
from stampede.tasks import backup_bases, backup_jobs, backups, fetching
from stampede.volumes.labels import KEEP, KEY
from tests.fakes.object_store import FakeStore
from tests.fakes.volumes import FakeVolumePool
from tests.flows.lab import Lab

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

    def lose(self, key: str) -> None:
        """A volume of the stack is no more, as if its disk had died."""
        name = self.called()[key]
        del self.pool._records[name], self.pool._snapshots[name]
        shutil.rmtree(self.pool._data(name).parent)

    def called(self) -> dict[str, str]:
        """What the volumes are for Docker, by their keys."""
        return {one.labels[KEY]: one.name for one in self.pool.volumes(self.stack)}

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

    for module in (backup_jobs, into_pool, fetching):
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
