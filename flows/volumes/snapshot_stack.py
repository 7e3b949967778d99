"""Snapshot: all volumes of a stack, or some, at one point in time; and those go that the file does not keep."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow

from stampede.flows.volumes.hosts import Volumes, volumes_of
from stampede.flows.volumes.snapshots import let_go, take
from stampede.tasks.artifacts import publish_snapshots
from stampede.tasks.events import announcement
from stampede.tasks.schedules import is_overdue
from stampede.tasks.stack_state import read_wanted
from stampede.volumes.keeping import surplus
from stampede.volumes.labels import TAKEN_BY
from stampede.volumes.models import FoundManagedVolume, Snapshot
from stampede.volumes.relief import Dropped
from stampede.volumes.stall import BUDGET_S
from stampede.volumes.views import SnapshotsTaken, key_of, view_of_snapshot

SCHEDULE = "schedule"


@flow(name="snapshot-stack", flow_run_name="snapshot {stack}", persist_result=True)
async def snapshot_stack(
    stack: str,
    volumes: list[str] | None = None,
    scheduled: bool = False,
    allowed_stall_s: float = BUDGET_S,
    requested_by: str = "",
    why: str = "",
) -> SnapshotsTaken:
    """Afterwards the volumes, all managed ones of the stack if none is named, have a snapshot of one point in time.

    Over several hosts each has its own moment. A scheduled one lets those go that the file does not keep, leaves out
    volumes that are nowhere, and does nothing when the next one is due already.
    Raises: UnknownName, Refused when writers would wait for longer than allowed or the pool is full, DaemonError of a
    hook. Safe to kill and run again at any point: there is one snapshot per run.
    """
    if scheduled and await is_overdue(volumes):
        return SnapshotsTaken(stack=stack, warnings=("skipped: the next one is due already",))
    async with announcement(stack, by=requested_by, why=why) as payload:
        found = await volumes_of(stack)
        nowhere = sorted(set(volumes or ()) - {key_of(one) for one in found.all}) if scheduled else []
        keys = volumes and [key for key in volumes if key not in nowhere]
        chosen = found.chosen(keys) if keys or not nowhere else ()
        taken = await take(
            found, chosen, labels={TAKEN_BY: SCHEDULE if scheduled else "hand"}, budget_s=allowed_stall_s
        )
        dropped = await _surplus(found, chosen, taken) if scheduled else ()
        await let_go(found, dropped)
        by_name = {volume.name: volume for volume in chosen}
        views = tuple(view_of_snapshot(one, by_name[one.volume]) for one in taken)
        warnings = tuple(f"{stack}/{key} has no snapshot: no host that answers has it" for key in nowhere)
        outcome = SnapshotsTaken(stack=stack, snapshots=views, removed=dropped, warnings=warnings)
        await publish_snapshots(outcome)
        payload |= {"snapshots": [f"{view.name}@{view.id}" for view in views], "removed": len(dropped)}
    return outcome


@flow(name="snapshot-volume", flow_run_name="snapshot {stack}/{volume}", persist_result=True)
async def snapshot_volume(
    stack: str, volume: str, allowed_stall_s: float = BUDGET_S, requested_by: str = "", why: str = ""
) -> SnapshotsTaken:
    """The same for one volume."""
    return await snapshot_stack.fn(stack, [volume], False, allowed_stall_s, requested_by, why)


async def _surplus(
    found: Volumes, chosen: Sequence[FoundManagedVolume], taken: Sequence[Snapshot]
) -> tuple[Dropped, ...]:
    """Snapshots taken on schedule that the file does not keep, those just taken included."""
    definition = (await read_wanted(found.stack)).definition
    policies = {volume.name: volume.snapshots for volume in definition.volumes.values()}
    dropped: list[Dropped] = []
    for volume in chosen:
        known = {one.id: one for one in (*found.snapshots(volume), *(t for t in taken if t.volume == volume.name))}
        if policy := policies.get(volume.name):
            dropped += surplus(known.values(), policy.keep, SCHEDULE)
    return tuple(dropped)
