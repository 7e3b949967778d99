"""A backup that can be looked into a second after it was asked for, while hardly anything of it was fetched.

The backup is served as a file by a process (serve.py), the file is a loop device, and that is mounted. ext4 was running
when the snapshot was made: the kernel replays its journal into the cache here, as it does after a power cut.
"""

from __future__ import annotations

import errno
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from stampede import programs
from stampede.blocks.backups.claiming import claimed_place
from stampede.blocks.backups.jobs import RepositoryAccess, ServeJob
from stampede.blocks.backups.place import Place
from stampede.blocks.backups.process import error_of
from stampede.blocks.volumes import ext4, loops, mounts
from stampede.errors import BackupError, DaemonError, StampedeError
from stampede.frozen import Frozen
from stampede.places import Places

_MODULE = "stampede.blocks.backups.serve"
_ENDS_WITHIN_S = 3.0
_HEARD_WITHIN_S = 2.0
_OPTIONS = "ro,nosuid,nodev,noexec,noatime,errors=remount-ro"


class About(Frozen):
    """Which backup it is."""

    backup: int
    created: datetime
    size_bytes: int


class OpenedBackup:
    """A backup that is mounted. `data` is the volume as its containers saw it, `image` the whole of it as a file."""

    def __init__(self, place: Place, about: About, heard: _Heard) -> None:
        self.about, self.image = about, place.image
        self.data = place.mount / ext4.DATA
        self._heard = heard

    @property
    def received_bytes(self) -> int:
        """What was fetched so far."""
        return self._heard.received

    @property
    def requests(self) -> int:
        return self._heard.requests

    @property
    def trouble(self) -> StampedeError | None:
        """Why reading failed, if it did: the first error that was met. A reader sees only EIO."""
        return self._heard.trouble

    def reason_of(self, error: OSError) -> Exception:
        """What is behind an error that a reader got: that of the store, or the error itself."""
        if error.errno != errno.EIO:
            return error
        self._heard.troubled.wait(_HEARD_WITHIN_S)
        return self.trouble or error


@contextmanager
def opened_backup(
    access: RepositoryAccess, volume: str, backup: int | None, places: Places, *, patience_s: float = 60.0
) -> Iterator[OpenedBackup]:
    """A backup of the volume, the newest if None, mounted read-only until the context ends. Needs root.

    Whoever reads waits for what has to be fetched; where that fails they get EIO, and `trouble` says why. However this
    process and the one that serves end, nothing is mounted any more soon after, or after `clear_opened`.

    Raises: BackupError if there is none or it holds no volume, UnknownName, Damaged, StoreUnavailable, StoreRefused,
    DaemonError if this host cannot mount it.
    """
    with claimed_place(places) as place:
        job = ServeJob(access=access, volume=volume, place=place, backup=backup, patience_s=patience_s)
        argv = [sys.executable, "-m", _MODULE]
        with programs.running(argv, stdin=job.model_dump_json() + "\n", lifeline=True) as process:
            heard = _Heard(process)
            try:
                about = heard.about()
                _mount(place, heard)
                opened = OpenedBackup(place, about, heard)
                if opened.data.is_symlink() or not opened.data.is_dir():
                    raise BackupError(f"backup {about.backup} of {volume} holds no volume of containers")
                yield opened
            finally:
                place.close()
                heard.end()


def _mount(place: Place, heard: _Heard) -> None:
    try:
        with loops.attached(place.image, direct_io=True) as device:
            mounts.mount(device, place.mount, "ext4", _OPTIONS)
    except (DaemonError, OSError) as error:
        raise heard.trouble or error from error


class _Heard:
    """What the process that serves has said, listened to by a thread."""

    def __init__(self, process: programs.Running) -> None:
        self._process = process
        self._about: About | None = None
        self._begun, self.troubled = threading.Event(), threading.Event()
        self.received = self.requests = 0
        self.trouble: StampedeError | None = None
        self._thread = threading.Thread(target=self._listen, name="opened backup")
        self._thread.start()

    def about(self) -> About:
        """Once it can be used. Raises: why it cannot."""
        self._begun.wait()
        if self._about is None:
            said = self._process.said.strip()[-2000:]
            raise self.trouble or StampedeError(f"the process that serves a backup has ended: {said}")
        return self._about

    def end(self) -> None:
        """Afterwards it has ended, and everything it said was heard."""
        self._process.end()
        self._thread.join(_ENDS_WITHIN_S)
        if self._thread.is_alive():  # it waits for a store that does not answer
            self._process.kill()
            self._thread.join()

    def _listen(self) -> None:
        try:
            for line in self._process.lines:
                self._hear(json.loads(line))
        finally:
            self._begun.set()

    def _hear(self, said: Any) -> None:
        match said:
            case {"serving": about}:
                self._about = About.model_validate(about)
                self._begun.set()
            case {"received": int(received), "requests": int(requests)}:
                self.received, self.requests = received, requests
            case {"trouble": error} | {"error": error}:
                self.trouble = self.trouble or error_of(error["class"], error["message"], error["hint"])
                self.troubled.set()
            case _:
                raise StampedeError(f"the process that serves a backup said {said}")
