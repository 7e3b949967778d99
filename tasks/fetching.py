"""Out of a store into the pool of this host: a backup as a volume of its own, or as a snapshot of its volume."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from prefect import task

from stampede.backup.restore import RestoreReport
from stampede.backup.views import BackupView, VolumeRestored
from stampede.blocks.backups import RepositoryAccess, RestoreJob, run_job
from stampede.blocks.backups.into_pool import restore_into_pool
from stampede.tasks.backup_jobs import RETRY_STORE, shown_while
from stampede.tasks.backups import ready_store
from stampede.tasks.pool import show_to_docker
from stampede.tasks.this_host import ThisHost, this_host
from stampede.tasks.threads import in_thread
from stampede.volumes.models import Snapshot, WantedVolume
from stampede.volumes.views import key_of

Tell = Callable[[int, int], None]


@task(task_run_name="fetch {view.name}@{view.backup} as volume {wanted.name}", **RETRY_STORE)
async def fetch_volume(view: BackupView, wanted: WantedVolume, *, thoroughly: bool = False) -> VolumeRestored:
    """Afterwards `wanted` is a volume of this host and for Docker, with what the backup holds. Twice is once.

    Every block was compared with its hash, and if `thoroughly` all of the file system checked; until that was so, there
    is no volume. Raises: Refused when another volume has that name or the pool cannot promise its size; Damaged,
    NoSpace, StoreUnavailable, Cancelled.
    """
    host, store, began = this_host(), await ready_store(view.store), time.monotonic()
    restored = await shown_while(
        f"restore of {view.name}",
        lambda tell, cancelled: restore_into_pool(
            host.pool,
            wanted,
            store.access,
            view.name,
            view.backup,
            data_bytes=view.data_bytes,
            thoroughly=thoroughly,
            progress=tell,
            cancelled=cancelled,
        ),
    )
    await in_thread(show_to_docker, host, restored.volume)
    name = f"{wanted.stack}/{key_of(restored.volume)}"
    return _restored(view, name, host, restored.report, time.monotonic() - began)


@task(task_run_name="fetch {view.name}@{view.backup} as snapshot {coming.id}", **RETRY_STORE)
async def fetch_snapshot(view: BackupView, coming: Snapshot) -> VolumeRestored:
    """Afterwards the volume has this snapshot, which holds what the backup does. Twice is once. Raises: as above."""
    host, store, began = this_host(), await ready_store(view.store), time.monotonic()
    report = await shown_while(
        f"restore of {view.name}", lambda tell, cancelled: _fetch(host, store.access, view, coming, tell, cancelled)
    )
    return _restored(view, view.name, host, report, time.monotonic() - began)


def _fetch(
    host: ThisHost, access: RepositoryAccess, view: BackupView, coming: Snapshot, tell: Tell, cancelled: threading.Event
) -> RestoreReport | None:
    if any(one.id == coming.id for one in host.pool.snapshots(coming.volume)):
        return None
    with host.pool.receive_snapshot(coming, data_bytes=view.data_bytes) as image:
        job = RestoreJob(
            access=access, volume=view.name, target=image, backup=view.backup, largest_bytes=coming.size_bytes
        )
        report = run_job(job, tell, cancelled)
        assert isinstance(report, RestoreReport)
        return report


def _restored(
    view: BackupView, volume: str, host: ThisHost, report: RestoreReport | None, duration_s: float
) -> VolumeRestored:
    return VolumeRestored(
        volume=volume,
        from_volume=view.name,
        backup=view.backup,
        created=view.created,
        host=host.name,
        size_bytes=view.size_bytes,
        restored_bytes=report.restored_bytes if report else 0,
        received_bytes=report.received_bytes if report else 0,
        requests=report.requests if report else 0,
        duration_s=round(duration_s, 3),
    )
