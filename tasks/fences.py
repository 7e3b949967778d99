"""Fencing on a host: the highest number seen per stack, so that a change that was declared dead cannot act any more.

A file per stack holds the number. Checking costs a read under a file lock, so it is done before each side effect.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stampede.errors import Fenced
from stampede.places import Places
from stampede.planning.drill import SUFFIX


def check_fence(places: Places, stack: str, number: int) -> None:
    """Afterwards no lower number than this one is let through on this host.

    Raises: Fenced when a higher number was seen, that is, when a newer change of the stack has begun.
    """
    folder = places.host / "fences"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder / f".{stack}.lock"):
        seen = highest_fence(places, stack)
        if number < seen:
            raise Fenced(
                f"Change {number} of {stack} was overtaken by change {seen} and must not touch anything any more",
                f"stampede history -p {stack} shows it; stampede server rebuild if the server's database was lost",
            )
        if number > seen:
            _write(folder / stack, number)


def highest_fence(places: Places, stack: str) -> int:
    """The highest number seen on this host; 0 when there was none."""
    try:
        return int((places.host / "fences" / stack).read_text())
    except FileNotFoundError:
        return 0


def highest_fences(places: Places) -> dict[str, int]:
    """The highest number seen on this host, for every stack it has ever run; those of drills are nobody's business."""
    names = sorted(path.name for path in (places.host / "fences").glob("[!.]*") if path.suffix != SUFFIX)
    return {stack: highest_fence(places, stack) for stack in names}


def _write(path: Path, number: int) -> None:
    """Replace the file in one step that survives a power cut."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w") as file:
        file.write(f"{number}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
