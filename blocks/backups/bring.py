"""The process that brings a volume: serves it as the file of a disk while it fetches the rest, a BringJob on stdin.

It goes on when the worker that started it ends. It ends when the file is unmounted; what was written is on the disk
then, and however it ends, the next one goes on where it was (arrivals.py has the files).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from stampede.backup.lazy import LazyImage
from stampede.backup.reader import OpenBackup
from stampede.backup.repository import Keys
from stampede.blocks.backups.fuse import mounted_file
from stampede.blocks.backups.jobs import BringJob
from stampede.blocks.object_store import S3Store
from stampede.blocks.volumes.arrivals import COMPLETE, Progress
from stampede.blocks.volumes.layout import claimed, persist, write
from stampede.errors import BadInput, Cancelled, StampedeError
from stampede.volumes.room import human

_CLAIMED_WITHIN_S = 2.0
_SAID_EVERY_S = 1.0
_LONGEST_PAUSE_S = 60.0


def main() -> int:
    job = BringJob.model_validate_json(sys.stdin.read())
    claim = _claimed(job.folder)
    if claim is None:
        return 0  # somebody else brings it
    said = _Said(job)
    try:
        _bring(job, said)
    except StampedeError as error:
        said.fail(error)
        return error.exit_code
    finally:
        os.close(claim)
    return 0


def _claimed(folder: Path) -> int | None:
    """The same as `claimed`, but for those who only look whether somebody has."""
    deadline = time.monotonic() + _CLAIMED_WITHIN_S
    while (claim := claimed(folder)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return claim


class _Said:
    """What others can read of how far it is."""

    def __init__(self, job: BringJob) -> None:
        self._path = job.folder / "progress.json"
        self._lock, self._at = threading.Lock(), 0.0
        self._progress = Progress(pid=os.getpid())

    def change(self, *, now: bool = True, **changed: object) -> None:
        with self._lock:
            self._progress = self._progress.model_copy(update=changed)
            if now or time.monotonic() - self._at > _SAID_EVERY_S:
                self._at = time.monotonic()
                write(self._path, self._progress)

    def fail(self, error: Exception) -> None:
        ours = error if isinstance(error, StampedeError) else StampedeError(str(error))
        self.change(trouble=ours.message, hint=ours.hint, kind=type(ours).__name__)


def _bring(job: BringJob, said: _Said) -> None:
    over = threading.Event()
    store = S3Store(job.access.address, patience_s=job.patience_s, cancelled=over)
    keys = Keys(job.access.repository, bytes.fromhex(job.access.master_key.get_secret_value()))
    opened = OpenBackup(store, keys, job.volume, job.backup, over)
    if opened.snapshot.size > job.most_bytes:
        raise BadInput(
            f"backup {job.backup} of {job.volume} has {human(opened.snapshot.size)}", "make the volume larger"
        )
    files = [os.open(job.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for name in ("image", "there")]
    os.ftruncate(files[0], opened.snapshot.size)
    image = LazyImage(opened, *files)
    filling = threading.Thread(target=_fill, args=(job, image, said, over), name="fill")
    try:
        with mounted_file(job.folder / "served", image, said.fail) as wait:
            filling.start()
            said.change(serving=True)
            wait()
    finally:
        over.set()
        image.close()
        if filling.is_alive():
            filling.join()
        image.sync()
        for file in files:
            os.fsync(file)
            os.close(file)


def _fill(job: BringJob, image: LazyImage, said: _Said, over: threading.Event) -> None:
    """Fetches what is missing, however often that takes; then says so in a file that stays."""
    pause = 1.0
    while not over.is_set():
        try:
            image.fill(lambda done, of: said.change(now=False, done_bytes=done, of_bytes=of), over)
        except Cancelled:
            return
        except (StampedeError, OSError) as error:
            said.fail(error)
            over.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        else:
            (job.folder / COMPLETE).touch(mode=0o600)
            persist(job.folder)
            said.change(complete=True, trouble="", hint="", kind="")
            return


if __name__ == "__main__":
    sys.exit(main())
