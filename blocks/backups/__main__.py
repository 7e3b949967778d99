"""The process that backs up, restores, verifies, lists or prunes: one job as JSON on stdin, JSON lines on stdout.

    {"progress": [done, of]}           bytes, now and then
    {"answer": {...}}                  the last line when it worked
    {"error": {"class", "message", "hint"}}   … and when it did not

SIGTERM cancels: what was sent stays, and the next backup resumes there. It does not outlive who started it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from stampede.backup.catalogue import backups, catalogue, spec_of
from stampede.backup.prune import prune
from stampede.backup.repository import Keys
from stampede.backup.restore import restore
from stampede.backup.verify import verify
from stampede.backup.writer import About, backup
from stampede.blocks.backups.jobs import (
    ANSWERS,
    JOBS,
    Answer,
    BackupJob,
    Job,
    ListJob,
    PruneJob,
    RestoreJob,
    SpecJob,
    VerifyJob,
)
from stampede.blocks.backups.sources import opened_source
from stampede.blocks.object_store import S3Store
from stampede.errors import StampedeError

_PROGRESS_EVERY_S = 0.5
_CANCELLED_WITHIN_S = 5.0


class _Progress:
    """Says how far it is, at most twice a second. Called from several threads."""

    def __init__(self) -> None:
        self._lock, self._said = threading.Lock(), time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        with self._lock:
            if time.monotonic() - self._said >= _PROGRESS_EVERY_S:
                self._said = time.monotonic()
                _say({"progress": [done, of]})


def main() -> int:
    _spare_the_garbage_collector()
    cancelled = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: _cancel(cancelled))
    threading.Thread(target=_end_with_listener, daemon=True).start()
    job = JOBS.validate_json(sys.stdin.buffer.read())
    try:
        answer = _do(job, cancelled)
    except StampedeError as error:
        _say({"error": {"class": type(error).__name__, "message": error.message, "hint": error.hint}})
        return error.exit_code
    _say({"answer": ANSWERS[job.verb].dump_python(answer, mode="json")})
    return 0


def _cancel(cancelled: threading.Event) -> None:
    """What is under way ends within seconds, also when it waits for a server that does not answer.

    To be killed anywhere does no harm: what runs next begins with that.
    """
    cancelled.set()
    killing = threading.Timer(_CANCELLED_WITHIN_S, os._exit, [128 + signal.SIGTERM])
    killing.daemon = True
    killing.start()


def _end_with_listener() -> None:
    """Ends this process as soon as nobody reads its standard output any more.

    Whoever started it may have been killed, and what it was writing may already be done anew by others.
    """
    listener = select.poll()
    listener.register(sys.stdout.fileno(), 0)  # POLLERR is always reported: poll(2)
    listener.poll()
    os._exit(1)


def _do(job: Job, cancelled: threading.Event) -> Answer:
    access, progress = job.access, _Progress()
    store = S3Store(access.address, lock=access.lock, cancelled=cancelled)
    keys = Keys(access.repository, bytes.fromhex(access.master_key.get_secret_value()))
    match job:
        case BackupJob():
            about = About(created=job.created, origin=job.origin, host=job.host, spec=job.spec)
            with opened_source(job.image, job.base_image, job.base) as source:
                return backup(store, keys, job.volume, source, about, progress=progress, cancelled=cancelled)
        case RestoreJob():
            return restore(
                store,
                keys,
                job.volume,
                job.target,
                backup=job.backup,
                allow_holes=job.allow_holes,
                largest_bytes=job.largest_bytes,
                progress=progress,
                cancelled=cancelled,
            )
        case VerifyJob():
            now, fraction = datetime.now(UTC), job.fraction
            return verify(
                store, keys, job.volume, now, job.level, fraction=fraction, progress=progress, cancelled=cancelled
            )
        case PruneJob():
            grace = timedelta(seconds=job.grace_s)
            return prune(store, keys, job.volume, job.rule, pinned=job.pinned, grace=grace, dry_run=job.dry_run)
        case ListJob():
            if job.volume:
                return backups(store, keys, job.volume, with_lost=job.with_lost)
            return catalogue(store, keys, with_lost=job.with_lost)
        case SpecJob():
            return spec_of(store, keys, job.volume, job.backup)


def _spare_the_garbage_collector() -> None:
    """What was imported stays, and chunks are in no cycles: without this a twentieth of the time goes into looking."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
