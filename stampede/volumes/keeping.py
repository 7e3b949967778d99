"""Which snapshots are a run's own, and which go, by what the stack file of their volume keeps. Pure, with reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stampede.retention import Item, Retention, decide
from stampede.volumes.labels import KEEP, RUN, TAKEN_BY
from stampede.volumes.models import Snapshot
from stampede.volumes.relief import Dropped

BEFORE_DEPLOYS = Retention(last=5)


def of_run(run: str, volumes: Sequence[Sequence[Snapshot]]) -> tuple[Snapshot, ...]:
    """Those of one moment that a run took of all volumes, each given as its snapshots; none if it took none."""
    own = [{one.id: one for one in snapshots if one.labels.get(RUN) == run} for snapshots in volumes]
    shared = sorted(set.intersection(*map(set, own))) if own else []
    return tuple(of_volume[shared[0]] for of_volume in own) if shared else ()


def surplus(snapshots: Iterable[Snapshot], rule: Retention, taken_by: str) -> tuple[Dropped, ...]:
    """Of the snapshots that were taken this way, those that the rule does not keep and nothing else needs."""
    own = {one.id: one for one in snapshots if one.labels.get(TAKEN_BY) == taken_by and KEEP not in one.labels}
    decisions = decide((Item(one.id, one.created) for one in own.values()), rule)
    return tuple(
        Dropped(volume=own[each.item.id].volume, snapshot=each.item.id, reason=each.reasons[0])
        for each in decisions
        if not each.keep
    )
