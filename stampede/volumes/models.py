"""Managed volumes, their snapshots and the pool that holds them: as wanted, as recorded beside them, as found."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from stampede.frozen import Frozen

Driver = Literal["xfs", "btrfs", "reflink", "plain"]
Consistency = Literal["power-cut", "frozen", "unmounted"]
Pressure = Literal["none", "soft", "hard"]


class WantedVolume(Frozen):
    """A managed volume as it shall be. `name` is Docker's name of it; `labels` are kept and given back as they are."""

    name: str
    stack: str
    size_bytes: int
    labels: dict[str, str] = {}


class VolumeRecord(Frozen):
    """What is kept beside an image, in volume.json. `origin` is `volume@snapshot` for one that was cloned."""

    name: str
    stack: str
    size_bytes: int
    created: datetime
    origin: str = ""
    labels: dict[str, str] = {}


class FoundManagedVolume(Frozen):
    """A managed volume as found. `used_bytes` is what its image takes in the pool, blocks shared with others included.

    `data` is the directory that containers bind; it is there while `mounted`. `trouble` says what keeps it from being
    used as it is, and is empty when all is well. `arriving` is how much is here of one that is used before all of it
    is, between 0 and 1; None for all others.
    """

    name: str
    stack: str
    host: str
    size_bytes: int
    used_bytes: int
    created: datetime
    origin: str = ""
    labels: dict[str, str] = {}
    data: str
    mounted: bool
    snapshots: int
    trouble: str = ""
    arriving: float | None = None


class Snapshot(Frozen):
    """One moment of one volume. Snapshots taken together have the same `id` and name each other in `together`.

    consistency   power-cut   what a disk holds after a power cut: the journal replays when it is used
                  frozen      the file system was quiet; with several in `together` all of them at once
                  unmounted   nothing was writing
    `stall_s` is how long writers of the volume had to wait, `extents` what the clone cost.
    """

    id: str
    volume: str
    stack: str
    created: datetime
    size_bytes: int
    consistency: Consistency
    together: tuple[str, ...]
    extents: int = 0
    stall_s: float = 0.0
    labels: dict[str, str] = {}


class PoolStatus(Frozen):
    """The pool of a host. All in bytes; `used_bytes` and `size_bytes` as its file system counts them.

    `reserved_bytes` is what is promised to volumes and their snapshots, `room_bytes` what may still be promised.
    `degraded` says what this pool cannot do that others can.
    """

    host: str
    driver: Driver
    path: str
    dedicated: bool
    size_bytes: int
    used_bytes: int
    reserved_bytes: int
    room_bytes: int
    volumes: int
    snapshots: int
    pressure: Pressure
    degraded: str = ""

    @property
    def fill(self) -> float:
        """Between 0 and 1."""
        return self.used_bytes / self.size_bytes if self.size_bytes else 1.0


class PoolSettings(Frozen):
    """How the pool of a host is to be. `size_bytes` counts when a pool file is made; None follows the rule in room.py.

    `overcommit` multiplies what may be promised: 1 means that sizes and snapshot reserves fit the pool.
    `snapshot_reserve` is the share of a volume's size that is kept for its snapshots.
    """

    driver: Literal["auto", "xfs", "btrfs", "plain"] = "auto"
    size_bytes: int | None = None
    overcommit: float = Field(default=1.0, ge=1, le=100)
    snapshot_reserve: float = Field(default=0.2, ge=0, le=10)
