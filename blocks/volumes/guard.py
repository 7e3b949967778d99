"""A pool does not fill up under its writers: what relief.py decides is done here, as often as somebody calls it.

A worker calls it every few seconds. Between two calls writers can fill what the watermarks leave: 5 % of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stampede.blocks.volumes.contract import VolumePool
from stampede.frozen import Frozen
from stampede.volumes.models import Pressure
from stampede.volumes.relief import Dropped, relief


class Writers(Protocol):
    """Whoever writes to volumes, and can be made to wait."""

    def hold(self, volumes: Sequence[str]) -> tuple[str, ...]:
        """Afterwards nobody writes to these volumes; returns the names of those that were made to wait just now."""
        ...

    def let_go(self) -> tuple[str, ...]:
        """Afterwards all that `hold` made wait goes on, and nobody else; returns their names."""
        ...


class Relieved(Frozen):
    """What was done about a pool that was too full. `pressure` is what is left of it; none where there is no pool."""

    pressure: Pressure = "none"
    dropped: tuple[Dropped, ...] = ()
    held: tuple[str, ...] = ()
    let_go: tuple[str, ...] = ()
    reason: str = ""


def relieve(pool: VolumePool, writers: Writers) -> Relieved:
    """Afterwards the pool is below its soft watermark, or has no snapshot left to drop; writers wait while it is hard.

    They are held first and looked at again last, so that they do not fill what is being freed.
    """
    pressure = pool.pressure()
    if pressure is None:
        return Relieved()
    if pressure == "none":
        return Relieved(let_go=writers.let_go())
    status = pool.status()
    assert status is not None  # it was there a moment ago, and nobody removes pools
    volumes = pool.volumes()
    asked = relief(status, (one for volume in volumes for one in pool.snapshots(volume.name)))
    held = writers.hold([one.name for one in volumes]) if asked.stop_writers else ()
    dropped = []
    for one in asked.drop:
        if pool.remove_snapshot(one.volume, one.snapshot):
            dropped.append(one)
        if (pressure := pool.pressure() or "none") == "none":
            break
    let_go = writers.let_go() if pressure != "hard" else ()
    return Relieved(pressure=pressure, dropped=tuple(dropped), held=held, let_go=let_go, reason=asked.reason)
