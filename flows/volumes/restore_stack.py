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
from stampede.tasks.pool import check_snapshots, put_back, volumes_with
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
    """Afterwards volumes of this host (Docker's names) hold what these snapshots do, all of which were there before.

    What they held until then is their snapshot `safety`. When one fails, those before it have been put back.
    Raises: UnknownName, InUse, Fenced.
    """
    await check_snapshots(snapshots)
    for volume, snapshot in snapshots.items():
        await put_back(mandate, volume, snapshot, safety)


@flow(name="undo-on-host", persist_result=True)
async def undo_on_host(volumes: list[str], safety: str, replaced: str, mandate: Mandate) -> None:
    """Afterwards volumes of this host that have a snapshot `safety` hold what it does; those without are left alone."""
    for volume in await volumes_with(volumes, safety):
        await put_back(mandate, volume, safety, replaced)


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
        snapshots = {volume.name: found.snapshot(volume, snapshot) for volume in chosen}
        why = why or f"restore {snapshot}"
        return await put_back_data(found, snapshots, fence=lock.fence, by=requested_by, why=why, dry_run=dry_run)


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


async def put_back_data(
    found: Volumes, snapshots: Mapping[str, Snapshot], *, fence: int, by: str, why: str, dry_run: bool
) -> Outcome:
    """Afterwards the volumes hold what the snapshots do, and the revision that is wanted runs on that."""
    running = await running_revision(found.stack)
    request = Request(
        stack=found.stack,
        fence=fence,
        draft=None,
        revision=running,
        by=by,
        why=why,
        dry_run=dry_run,
        going_back=True,
        with_data=True,
    )
    return await go_back_to(GoingBack(request, running, found, snapshots))


@announced
async def go_back_to(going: GoingBack) -> Outcome:
    """Afterwards the volumes hold what the snapshots do, and what is wanted runs.

    When it does not become healthy on that, everything is as it was before, and the error says why.
    """

    # Ids of this run, however often it is resumed: what is replaced is kept once.
    moment = flow_run.scheduled_start_time
    safety = snapshot_id(moment)
    hosts = {host: [v.name for v in going.volumes if v.host == host] for host in {v.host for v in going.volumes}}

    async def work(mandate: Mandate) -> None:
        asked = {
            host: {"snapshots": {n: going.snapshots[n].id for n in names}, "safety": safety, "mandate": mandate}
            for host, names in sorted(hosts.items())
        }
        await on_hosts(asked, put_back_on_host, step="put back")

    async def undo(mandate: Mandate) -> None:
        replaced = snapshot_id(moment, [safety, f"{safety}-2"])  # -2 is what came from a backup
        asked = {
            host: {"volumes": names, "safety": safety, "replaced": replaced, "mandate": mandate}
            for host, names in sorted(hosts.items())
        }
        await on_hosts(asked, undo_on_host, step="put back what was there before")

    outcome = await while_stopped(going.request, going.running, going.volumes, work, undo)
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
