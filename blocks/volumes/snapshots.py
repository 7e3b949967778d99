"""Taking snapshots: of one volume while it is written to, or of several that are frozen together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from stampede.blocks.volumes import mounts
from stampede.blocks.volumes.freezing import LIMIT_S, Barrier, frozen
from stampede.blocks.volumes.ground import Ground
from stampede.blocks.volumes.layout import Layout, persist, remove_tree, write
from stampede.blocks.volumes.recovery import publish
from stampede.volumes.models import Consistency, Snapshot, VolumeRecord
from stampede.volumes.stall import refuse_long_stall

_COPIED_PER_S = 50 << 20  # where a pool has to copy, writers wait for it


def take(
    layout: Layout,
    ground: Ground,
    records: Sequence[VolumeRecord],
    mounted: Mapping[str, Path],
    *,
    named: str,
    now: datetime,
    labels: Mapping[str, str],
    freeze: bool,
    budget_s: float,
) -> tuple[Snapshot, ...]:
    """A snapshot of each of `records` under the id `named`, all of one moment. `mounted` are the mounts of theirs.

    Raises: Refused, DaemonError, Transient; then none was made.
    """
    extents = {one.name: ground.extents(layout.image(one.name)) for one in records}
    if ground.driver != "plain":
        for name, count in extents.items():
            refuse_long_stall(name, count, budget_s)
    still = freeze or len(records) > 1 or ground.driver == "plain"
    staging = {one.name: layout.unfinished(one.name, named) for one in records}
    try:
        for place in staging.values():
            place.mkdir(mode=0o700, parents=True)
        stalls = {}
        with _quiet(tuple(mounted.values()), still, _limit_s(layout, ground, records)) as barrier:
            for name, place in staging.items():
                at = time.monotonic()
                ground.clone(layout.image(name), place / "image")
                stalls[name] = time.monotonic() - at
    except BaseException:
        for place in staging.values():
            remove_tree(place)
        raise
    snapshots = tuple(
        Snapshot(
            id=named,
            volume=one.name,
            stack=one.stack,
            created=now,
            size_bytes=one.size_bytes,
            consistency=_consistency(one.name in mounted, still),
            together=tuple(staging),
            extents=extents[one.name],
            stall_s=round(barrier.held_s if still else stalls[one.name], 6) if one.name in mounted else 0.0,
            labels=dict(labels),
        )
        for one in records
    )
    for one in snapshots:
        persist(staging[one.volume] / "image")
        write(staging[one.volume] / "snapshot.json", one)
    for one in snapshots:
        publish(layout, one)
    return snapshots


@contextmanager
def _quiet(paths: tuple[Path, ...], still: bool, limit_s: float) -> Iterator[Barrier]:
    """Either nothing is written while the context is open, or what was written before it is on the disk."""
    if still and paths:
        with frozen(paths, limit_s) as barrier:
            yield barrier
    else:
        for path in paths:
            mounts.sync(path)
        yield Barrier()


def _limit_s(layout: Layout, ground: Ground, records: Sequence[VolumeRecord]) -> float:
    if ground.driver != "plain":
        return LIMIT_S
    return LIMIT_S + sum(layout.image(one.name).stat().st_blocks * 512 for one in records) / _COPIED_PER_S


def _consistency(mounted: bool, still: bool) -> Consistency:
    if not mounted:
        return "unmounted"
    return "frozen" if still else "power-cut"
