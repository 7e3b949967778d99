"""A backup becomes a volume that can be used at once, and has all of its content some time later.

    folder = ensure_arriving(pool, new, access, volume, backup)     a second later it can be used
    arrival_progress(folder)                                        complete?
    pool.finish_arrival(new.name)                                   when nobody uses it: a volume like all others

Each can be called again after any death. What was written to the volume meanwhile is kept like on a disk: what was
synced survives a kill and a power cut. The volume is never taken for whole before all of it was fetched and verified.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stampede import programs
from stampede.blocks.backups.jobs import BringJob, RepositoryAccess
from stampede.blocks.backups.process import error_of
from stampede.blocks.volumes.arrivals import arrival_progress
from stampede.blocks.volumes.contract import VolumePool
from stampede.blocks.volumes.layout import is_claimed
from stampede.errors import DaemonError, StampedeError
from stampede.volumes.models import WantedVolume
from stampede.volumes.room import volume_size

_MODULE = "stampede.blocks.backups.bring"
_WITHIN_S = 90.0


def ensure_arriving(
    pool: VolumePool,
    new: WantedVolume,
    access: RepositoryAccess,
    volume: str,
    backup: int,
    *,
    data_bytes: int = 0,
    patience_s: float = 60.0,
) -> Path:
    """Afterwards `new` can be used, with the content of this backup, and the rest of it is being fetched.

    Returns the folder in which it arrives. Whoever reads what is not there yet waits for it; EIO if it cannot be had.
    If it could not begin nothing of it is left.

    Raises: Refused, InUse (as pool.begin_arrival), BadInput if it is smaller than the backup, and what keeps that from
    being read.
    """
    source = f"{access.repository}/{volume}@{backup}"
    folder = pool.begin_arrival(new, source, data_bytes=data_bytes)
    if is_claimed(folder) and not _answers(folder):
        _wait(lambda: not is_claimed(folder), f"who served {folder} and was killed has not ended")
        pool.begin_arrival(new, source)
    if not is_claimed(folder):
        (folder / "progress.json").unlink(missing_ok=True)
        job = BringJob(
            access=access,
            volume=volume,
            backup=backup,
            folder=folder,
            most_bytes=volume_size(new.size_bytes),
            patience_s=patience_s,
        )
        argv = [sys.executable, "-m", _MODULE]
        programs.start(argv, stdin=job.model_dump_json(), log=folder / "log")
    try:
        _wait(lambda: _is_served(folder), f"nobody serves {folder}")
    except StampedeError:
        if not (folder / "there").exists():  # nothing of it was ever used
            pool.drop_arrival(new.name)
        raise
    try:
        pool.mount_arrival(new.name)
    except DaemonError as error:
        found = arrival_progress(folder)
        raise (error_of(found.kind, found.trouble, found.hint) if found and found.trouble else error) from error
    return folder


def _is_served(folder: Path) -> bool:
    """Raises: why it cannot be."""
    found = arrival_progress(folder)
    if found and found.trouble and not found.serving:
        raise error_of(found.kind, found.trouble, found.hint)
    return found is not None and found.serving


def _answers(folder: Path) -> bool:
    """False if who served it is dead, though it may not have ended yet."""
    try:
        os.close(os.open(folder / "served", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _wait(true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not true():
        if time.monotonic() > deadline:
            raise StampedeError(f"{otherwise} after {_WITHIN_S:g} s", "the file `log` in it may say more")
        time.sleep(0.02)
