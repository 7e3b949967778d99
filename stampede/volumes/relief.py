"""What to do about a pool that fills up: which snapshots go, and whose writers are stopped. Pure; with reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stampede.frozen import Frozen
from stampede.volumes.labels import KEEP
from stampede.volumes.models import PoolStatus, Snapshot
from stampede.volumes.names import order_of
from stampede.volumes.room import HARD_WATERMARK, SOFT_WATERMARK


class Dropped(Frozen):
    """A snapshot that goes, and why."""

    volume: str
    snapshot: str
    reason: str


class Relief(Frozen):
    """Snapshots go one after the other, until the pool is below its soft watermark."""

    drop: tuple[Dropped, ...] = ()
    stop_writers: bool = False
    reason: str = ""


def relief(status: PoolStatus, snapshots: Iterable[Snapshot]) -> Relief:
    """What a pool of this status asks for. The newest snapshot of a volume stays, as does one labelled to be kept."""
    if status.pressure == "none":
        return Relief()
    known = tuple(snapshots)
    newest = _newest(known)
    old = sorted(
        (one for one in known if one.id != newest[one.volume] and KEEP not in one.labels),
        key=lambda one: (order_of(one.id), one.volume),
    )
    why = f"the pool is {status.fill:.0%} full, more than {SOFT_WATERMARK:.0%}"
    return Relief(
        drop=tuple(Dropped(volume=one.volume, snapshot=one.id, reason=why) for one in old),
        stop_writers=status.pressure == "hard",
        reason=f"the pool is {status.fill:.0%} full, more than {HARD_WATERMARK:.0%}"
        if status.pressure == "hard"
        else why,
    )


def _newest(snapshots: Iterable[Snapshot]) -> Mapping[str, str]:
    newest: dict[str, str] = {}
    for one in snapshots:
        if one.volume not in newest or order_of(one.id) > order_of(newest[one.volume]):
            newest[one.volume] = one.id
    return newest
