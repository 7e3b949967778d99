"""Names of managed volumes, which are Docker's, and of their snapshots, which are moments that sort."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime

from stampede.errors import BadInput

# What dockerd accepts as the name of a volume (volume/local: RestrictedNamePattern), within what a directory can hold.
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_LONGEST = 200
_SNAPSHOT = re.compile(r"\d{8}T\d{6}\.\d{3}Z(-\d+)?")


def check_volume_name(name: str) -> str:
    """The name itself: Docker would take it, and it is safe as that of a directory. Raises: BadInput."""
    if not _VOLUME.fullmatch(name) or len(name) > _LONGEST:
        raise BadInput(
            f"{name!r} cannot be the name of a volume",
            f"2 to {_LONGEST} letters a-z, digits, and _ . - after the first; set `name:` of the volume in the file",
        )
    return name


def check_snapshot_id(snapshot: str) -> str:
    """The id itself. Raises: BadInput."""
    if not _SNAPSHOT.fullmatch(snapshot):
        raise BadInput(f"{snapshot!r} is not a snapshot", "`stampede snapshot ls` lists them")
    return snapshot


def snapshot_id(now: datetime, taken: Collection[str] = ()) -> str:
    """Such as 20261126T192200.123Z; with a counter if that is among those `taken`. Ids sort as they were made."""
    utc = now.astimezone(UTC)
    moment = f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z"
    if moment not in taken:
        return moment
    return next(name for count in range(2, len(taken) + 3) if (name := f"{moment}-{count}") not in taken)


def order_of(snapshot: str) -> tuple[str, int]:
    """What to sort snapshot ids by: the moment, then the counter as a number."""
    moment, _, count = snapshot.partition("-")
    return moment, int(count or 1)
