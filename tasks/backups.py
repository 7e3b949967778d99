"""Backups of volumes of this host: made from a snapshot, thinned out, listed, verified."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from prefect import get_run_logger, task

from stampede.backup.prune import PruneReport
from stampede.backup.verify import Level, VerifyReport
from stampede.backup.views import BackupView, VolumeBackedUp, VolumePruned, kept, name_of, view_of
from stampede.backup.writer import BackupReport
from stampede.blocks.backups import BackupJob, ListJob, PruneJob, SpecJob, VerifyJob
from stampede.blocks.stores import StampedeStore
from stampede.documents import Revision
from stampede.errors import BackupError
from stampede.frozen import Frozen
from stampede.retention import Retention
from stampede.tasks.backup_bases import Base, read_base, write_base
from stampede.tasks.backup_jobs import RETRY_STORE, run_shown
from stampede.tasks.stack_state import read_revision
from stampede.tasks.stores import read_store, store_for_backups
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread
from stampede.volumes.labels import BACKUP, KEEP, TAKEN_BY


class Work(Frozen):
    """One volume to back up: its key in the file and Docker's name, the snapshot, where to, and what is kept there."""

    key: str
    volume: str
    snapshot: str
    created: datetime
    store: str
    keep: Retention = Retention()

    @property
    def keeps(self) -> bool:
        """Whether the file says which backups are kept, so that others go."""
        return self.keep != Retention()


@task(task_run_name="back up {stack}/{work.key} to {work.store}", **RETRY_STORE)
async def back_up(stack: str, work: Work, revision: int) -> VolumeBackedUp:
    """Afterwards the store has a backup of the snapshot, and the next one is compared with it. Twice is once.

    Raises: Refused for a store that is not ready; Foreign, Overtaken, StoreRefused, StoreUnavailable, Cancelled.
    """
    host, store = this_host(), await store_for_backups(work.store)
    base = read_base(host.places, work.volume)
    if base and (base.repository, base.snapshot) == (store.repository, work.snapshot):
        return base.report
    name, known = name_of(stack, work.key), base if base and base.repository == store.repository else None
    spec = spec_of_app(await read_revision(stack, revision), work.key) if revision else "{}"
    job = BackupJob(
        access=store.access,
        volume=name,
        image=await in_thread(host.pool.snapshot_image, work.volume, work.snapshot),
        base_image=await in_thread(_image_of, work.volume, known.snapshot) if known else None,
        base=known.report.backup if known else 0,
        created=work.created,
        origin=store.origin,
        host=host.name,
        spec=spec,
    )
    done = await run_shown(job, f"backup of {name}")
    assert isinstance(done, BackupReport)
    report = VolumeBackedUp(
        volume=name,
        backup=done.backup,
        store=work.store,
        host=host.name,
        created=work.created,
        logical_bytes=done.logical_bytes,
        changed_bytes=done.changed_bytes,
        uploaded_bytes=done.uploaded_bytes,
        requests=done.requests,
        duration_s=round(done.duration_s, 3),
    )
    await in_thread(
        write_base, host.places, work.volume, Base(repository=store.repository, snapshot=work.snapshot, report=report)
    )
    get_run_logger().info("%s@%d: %d bytes sent", name, report.backup, report.uploaded_bytes)
    return report


@task(task_run_name="let earlier snapshots for backups of {work.key} go", **RETRY_STORE)
async def let_earlier_go(work: Work) -> None:
    """Afterwards no snapshot is kept for backups but this one, and what it is compared with until it has become one.

    So those of backups that failed do not pile up while a store is away: nothing else may remove them.
    """
    pool, base = this_host().pool, read_base(this_host().places, work.volume)
    needed = {work.snapshot, base.snapshot if base else ""}
    for one in await in_thread(pool.snapshots, work.volume):
        if one.labels.get(TAKEN_BY) == BACKUP and KEEP in one.labels and one.id not in needed:
            await in_thread(pool.remove_snapshot, work.volume, one.id)


@task(task_run_name="prune backups of {volume} in {store}", **RETRY_STORE)
async def prune_volume(store: str, volume: str, rule: Retention, *, dry_run: bool = False) -> VolumePruned:
    """Afterwards the volume has the backups that the rule keeps. Raises: Overtaken, Damaged, Store… as `prune` does."""
    found = await ready_store(store)
    report = await run_shown(
        PruneJob(access=found.access, volume=volume, rule=rule, dry_run=dry_run), f"pruning of {volume}"
    )
    assert isinstance(report, PruneReport)
    return VolumePruned(
        volume=volume,
        store=store,
        decisions=kept(report.decisions),
        dropped=report.dropped,
        condemned_bytes=report.condemned_bytes,
        rewritten_bytes=report.rewritten_bytes,
        deleted_bytes=report.deleted_bytes,
    )


@task(task_run_name="verify backups of {volume} in {store}", **RETRY_STORE)
async def verify_volume(store: str, volume: str, level: Level) -> VerifyReport:
    """What of the volume's backups is as it was written. What is not is sent again by the next backup."""
    found = await ready_store(store)
    report = await run_shown(VerifyJob(access=found.access, volume=volume, level=level), f"verification of {volume}")
    assert isinstance(report, VerifyReport)
    return report


@task(task_run_name="list backups in {store}", **RETRY_STORE)
async def list_store(store: str, volume: str | None = None) -> tuple[BackupView, ...]:
    """All backups that are kept there, or those of one volume, oldest first."""
    found = await ready_store(store)
    listed = await run_shown(ListJob(access=found.access, volume=volume, with_lost=True), f"list of {volume or store}")
    assert isinstance(listed, list)
    return tuple(view_of(one, store) for one in sorted(listed, key=lambda one: (one.volume, one.backup)))


@task(task_run_name="read what {view.name}@{view.backup} says of the app", **RETRY_STORE)
async def read_app(view: BackupView) -> Revision:
    """The revision of the stack that ran when this backup was made. Raises: BackupError when it has none."""
    found = await ready_store(view.store)
    spec = await run_shown(
        SpecJob(access=found.access, volume=view.name, backup=view.backup), f"revision in {view.name}"
    )
    assert isinstance(spec, str)
    revision = json.loads(spec).get("revision")
    if revision is None:
        raise BackupError(
            f"{view.name}@{view.backup} says nothing of the app", "restore its volumes, and `stampede up` the file"
        )
    return Revision.model_validate(revision)


async def ready_store(store: str) -> StampedeStore:
    """A store whose repository is open; also one whose key nobody has confirmed. Raises: UnknownName, BackupError."""
    found = await read_store(store)
    if not found.ready:
        raise BackupError(f"adding store {store} has not ended", "the same stampede store add again goes on with it")
    return found


def spec_of_app(revision: Revision, key: str) -> str:
    """What brings the app back, as it is kept with a backup of one of its volumes. It holds secrets."""
    return json.dumps({"format": 1, "volume": key, "revision": revision.model_dump(mode="json")})


def _image_of(volume: str, snapshot: str) -> Path | None:
    """The image of a snapshot that may be gone."""
    pool = this_host().pool
    there = any(one.id == snapshot for one in pool.snapshots(volume))
    return pool.snapshot_image(volume, snapshot) if there else None
