"""Restore: volumes hold again what a snapshot of them does. What they held until then is kept as a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prefect import flow
from prefect.runtime import flow_run

from stampede.documents import Revision
from stampede.errors import UnknownName
from stampede.flows.converge import Request
from stampede.flows.volumes.hosts import Volumes, volumes_of
from stampede.flows.volumes.standstill import while_stopped
from stampede.planning.changes import Action, Change, Outcome
from stampede.tasks.artifacts import publish_outcome
from stampede.tasks.events import announced
from stampede.tasks.locks import stack_lock
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_hosts
from stampede.tasks.pool import put_back
from stampede.tasks.stack_state import read_head, revisions_of
from stampede.volumes.models import FoundManagedVolume, Snapshot
from stampede.volumes.names import snapshot_id
from stampede.volumes.views import key_of


@dataclass(frozen=True)
class GoingBack:
    """Volumes with the snapshots they go back to, what `running` revision uses them, and what shall run afterwards."""

    request: Request
    running: Revision | None
    found: Volumes
    snapshots: Mapping[str, Snapshot]

    @property
    def stack(self) -> str:
        return self.request.stack

    @property
    def by(self) -> str:
        return self.request.by

    @property
    def why(self) -> str:
        return self.request.why

    @property
    def dry_run(self) -> bool:
        return self.request.dry_run

    @property
    def volumes(self) -> tuple[FoundManagedVolume, ...]:
        return tuple(volume for volume in self.found.all if volume.name in self.snapshots)


@flow(name="put-back-on-host", persist_result=True)
async def put_back_on_host(snapshots: dict[str, str], safety: str, mandate: Mandate) -> None:
    """Afterwards volumes of this host (Docker's names) hold what these snapshots do."""
    for volume, snapshot in snapshots.items():
        await put_back(mandate, volume, snapshot, safety)


@flow(name="restore-stack", flow_run_name="restore {stack} to {snapshot}", persist_result=True)
async def restore_stack(
    stack: str,
    snapshot: str = "",
    volumes: list[str] | None = None,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards the volumes hold what they held at the moment of the snapshot; the newest of all, if none is named.

    If no volume is named, those go back that have this snapshot. Instances that have them open stop, and start again.
    What was replaced is kept as a snapshot. Raises: UnknownName, StackLocked, Refused when something else has one open.
    """
    async with stack_lock(stack, who=requested_by, why=why or "restore", wait_s=wait_for_lock_s) as lock:
        found = await volumes_of(stack)
        chosen = found.chosen(volumes)
        if volumes is None and snapshot:
            chosen = tuple(v for v in chosen if any(one.id == snapshot for one in found.snapshots(v)))
            if not chosen:
                raise UnknownName(f"{stack} has no snapshot {snapshot}", f"`stampede snapshot ls {stack}` lists them")
        snapshot = snapshot or found.newest_of_all(chosen)
        running = await running_revision(stack)
        request = Request(
            stack=stack,
            fence=lock.fence,
            draft=None,
            revision=running,
            by=requested_by,
            why=why or f"restore {snapshot}",
            dry_run=dry_run,
            going_back=True,
            with_data=True,
        )
        snapshots = {volume.name: found.snapshot(volume, snapshot) for volume in chosen}
        return await go_back_to(GoingBack(request, running, found, snapshots))


@flow(name="restore-volume", flow_run_name="restore {stack}/{volume} to {snapshot}", persist_result=True)
async def restore_volume(
    stack: str,
    volume: str,
    snapshot: str = "",
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """The same for one volume."""
    return await restore_stack.fn(stack, snapshot, [volume], dry_run, wait_for_lock_s, requested_by, why)


@announced
async def go_back_to(going: GoingBack) -> Outcome:
    """Afterwards the volumes hold what the snapshots do, and what is wanted runs."""

    async def work(mandate: Mandate) -> None:
        # One id for this run however often it is resumed: what is replaced is kept once.
        safety = snapshot_id(flow_run.scheduled_start_time)
        asked = {
            host: {
                "snapshots": {v.name: going.snapshots[v.name].id for v in going.volumes if v.host == host},
                "safety": safety,
                "mandate": mandate,
            }
            for host in sorted({volume.host for volume in going.volumes})
        }
        await on_hosts(asked, put_back_on_host, step="put back")

    outcome = await while_stopped(going.request, going.running, going.volumes, work)
    outcome = outcome.model_copy(update={"changes": (*_lines(going), *outcome.changes)})
    if not outcome.dry_run:
        await publish_outcome(outcome)
    return outcome


async def running_revision(stack: str) -> Revision | None:
    """What is wanted of the stack now; None if it is not deployed."""
    head = await read_head(stack)
    return (await revisions_of(stack, {head.wanted})).get(head.wanted)


def _lines(going: GoingBack) -> tuple[Change, ...]:
    return tuple(
        Change(
            action=Action.RESTORE,
            kind="volume",
            name=f"{going.stack}/{key_of(volume)}",
            host=volume.host,
            reason=f"it goes back to {going.snapshots[volume.name].created:%Y-%m-%d %H:%M:%S} UTC; all that was"
            " written since is kept as a snapshot",
        )
        for volume in going.volumes
    )
