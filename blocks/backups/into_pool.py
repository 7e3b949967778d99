"""A backup as a volume of this host's pool: there whole, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stampede.backup.restore import RestoreReport
from stampede.blocks.backups.jobs import RepositoryAccess, RestoreJob
from stampede.blocks.backups.process import run_job
from stampede.blocks.volumes import ext4
from stampede.blocks.volumes.contract import VolumePool
from stampede.blocks.volumes.recovery import fit
from stampede.errors import UnknownName
from stampede.frozen import Frozen
from stampede.volumes.models import FoundManagedVolume, WantedVolume

RESTORED_FROM = "stampede.restored-from"


class Restored(Frozen):
    """The volume, and what restoring it came to; None if it had been restored before."""

    volume: FoundManagedVolume
    report: RestoreReport | None


def restore_into_pool(
    pool: VolumePool,
    wanted: WantedVolume,
    access: RepositoryAccess,
    volume: str,
    backup: int,
    *,
    data_bytes: int = 0,
    allow_holes: bool = False,
    thoroughly: bool = False,
    progress: Callable[[int, int], None] = lambda done, of: None,
    cancelled: threading.Event | None = None,
) -> Restored:
    """Afterwards `wanted` is a volume, mounted, with the content that `volume` had in `backup`; twice is once.

    Its file system is mended as after a power cut, and fills the volume if that is larger; `thoroughly` looks at all of
    it. If this raises or is killed, nothing is there. `data_bytes` is how much it holds, as far as known.
    Raises: Refused if another volume has the name or the pool has no room for it, BadInput if the backup is larger than
    `wanted`, ext4.Damaged, NoSpace, Cancelled, and what `restore` and `pool.receive` raise.
    """
    origin = f"{access.repository}/{volume}@{backup}"
    before = _volume(pool, wanted)
    if before is not None and before.labels.get(RESTORED_FROM) == origin:
        pool.mount(wanted.name)
        return Restored(volume=before.model_copy(update={"mounted": True}), report=None)
    labelled = wanted.model_copy(update={"labels": {**wanted.labels, RESTORED_FROM: origin}})
    with pool.receive(labelled, data_bytes=data_bytes) as image:
        fetched = image.with_name(f"{image.name}.fetched")
        size = image.stat().st_size
        job = RestoreJob(
            access=access,
            volume=volume,
            target=fetched,
            backup=backup,
            allow_holes=allow_holes,
            largest_bytes=size,
        )
        try:
            report = run_job(job, progress, cancelled)
            assert isinstance(report, RestoreReport)
            fit(fetched, size, wanted.name)
            if thoroughly:
                ext4.mend(fetched, wanted.name, thoroughly=True)
            fetched.rename(image)
        finally:
            fetched.with_name(f"{fetched.name}.partial").unlink(missing_ok=True)
    after = _volume(pool, wanted)
    if after is None:
        raise UnknownName(f"volume {wanted.name} was removed while it was restored", "restore it again")
    return Restored(volume=after, report=report)


def _volume(pool: VolumePool, wanted: WantedVolume) -> FoundManagedVolume | None:
    return next((one for one in pool.volumes(wanted.stack) if one.name == wanted.name), None)
