"""The process that serves a backup as a disk in a file: what is read is fetched then, what is written stays here.

A ServeJob as one line of JSON on stdin, JSON lines on stdout, until stdin ends:

    {"serving": {"backup", "created", "size_bytes"}}    the file can be used now
    {"received": bytes, "requests": n}                  after each read that had to fetch something
    {"trouble": {"class", "message", "hint"}}           why a reader of the file got an error
    {"error": {"class", "message", "hint"}}             it cannot be served

When whoever started it is gone, it undoes what they made of the file as well.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from stampede.backup.lazy import LazyImage
from stampede.backup.reader import OpenBackup
from stampede.backup.repository import Keys
from stampede.blocks.backups.fuse import mounted_file
from stampede.blocks.backups.jobs import ServeJob
from stampede.blocks.object_store import S3Store
from stampede.errors import StampedeError

_SAYING = threading.Lock()


class _Told:
    """The image, and what was asked of the store for it."""

    def __init__(self, image: LazyImage, store: S3Store) -> None:
        self.size = image.size
        self._image, self._store, self._requests = image, store, 0

    def read(self, start: int, length: int) -> bytes:
        content = self._image.read(start, length)
        self.tell()
        return content

    def write(self, start: int, content: memoryview) -> None:
        self._image.write(start, content)

    def sync(self) -> None:
        self._image.sync()

    def tell(self) -> None:
        counts = self._store.counts
        if counts.requests != self._requests:
            self._requests = counts.requests
            _say({"received": counts.received, "requests": counts.requests})


def main() -> int:
    job = ServeJob.model_validate_json(sys.stdin.readline())
    cancelled = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        _serve(job, cancelled)
    except StampedeError as error:
        _say({"error": _described(error)})
        return error.exit_code
    return 0


def _serve(job: ServeJob, cancelled: threading.Event) -> None:
    store = S3Store(job.access.address, patience_s=job.patience_s, cancelled=cancelled)
    keys = Keys(job.access.repository, bytes.fromhex(job.access.master_key.get_secret_value()))
    opened = OpenBackup(store, keys, job.volume, job.backup, cancelled)
    cache = os.open(job.place.cache, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.ftruncate(cache, opened.snapshot.size)
    image = LazyImage(opened, cache)
    told = _Told(image, store)
    with mounted_file(job.place.image, told, lambda error: _say({"trouble": _described(error)})):
        try:
            about = opened.snapshot
            told.tell()
            _say(
                {
                    "serving": {
                        "backup": opened.commit.seq,
                        "created": about.created.isoformat(),
                        "size_bytes": about.size,
                    }
                }
            )
            sys.stdin.read()
        finally:
            cancelled.set()
            image.close()
            job.place.close()


def _described(error: Exception) -> dict[str, str]:
    if isinstance(error, StampedeError):
        return {"class": type(error).__name__, "message": error.message, "hint": error.hint}
    return {"class": "BackupError", "message": str(error), "hint": ""}


def _say(line: dict[str, Any]) -> None:
    with _SAYING:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
