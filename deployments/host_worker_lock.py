"""One worker per host: a twin's start would close the live runs of the first as crashed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from stampede.errors import Refused
from stampede.places import Places


@contextmanager
def host_lock(places: Places, host: str) -> Iterator[None]:
    """Hold the file lock of this host's worker; the kernel gives it back however the process ends.

    Raises: Refused when another process holds it.
    """
    places.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(places.run / f"worker-{host}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(
                f"A worker for {host} is running here already", "`stampede server status` shows its pid"
            ) from error
        yield
    finally:
        os.close(descriptor)
