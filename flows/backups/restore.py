"""Restore from backups: to new volumes, into the volumes they are of, or a whole stack that is not here (any more)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from prefect import flow
from prefect.runtime import flow_run

from stampede.backup.views import BackupsRestored, BackupView, VolumeRestored, free_key, picked
from stampede.documents import Revision
from stampede.errors import BadInput, Refused, StampedeError
from stampede.flows.backups.choosing import host_for, known_revision
from stampede.flows.backups.looking import backups_in
from stampede.flows.converge import Request, converge_quietly
from stampede.flows.volumes.hosts import Volumes, volumes_of
from stampede.flows.volumes.restore_stack import put_back_data
from stampede.flows.volumes.snapshots import let_go
from stampede.planning.changes import Outcome
from stampede.tasks.backups import read_app
from stampede.tasks.events import announcement
from stampede.tasks.fetching import fetch_snapshot, fetch_volume
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.locks import stack_lock
from stampede.tasks.on_host import on_host
from stampede.tasks.stack_state import Draft, read_head
from stampede.volumes.labels import FETCHED, KEY, RUN
from stampede.volumes.models import FoundManagedVolume, Snapshot, WantedVolume
from stampede.volumes.names import snapshot_id
from stampede.volumes.relief import Dropped
from stampede.volumes.views import key_of


@flow(name="fetch-volume", persist_result=True)
async def fetch_volume_on_host(view: BackupView, wanted: WantedVolume) -> VolumeRestored:
    """Afterwards this host has the volume, with what the backup holds."""
    return await fetch_volume(view, wanted)


@flow(name="fetch-snapshot", persist_result=True)
async def fetch_snapshot_on_host(view: BackupView, coming: Snapshot) -> VolumeRestored:
    """Afterwards the volume of this host has the snapshot, with what the backup holds."""
    return await fetch_snapshot(view, coming)


@flow(name="restore-backup", flow_run_name="restore {stack} from a backup", persist_result=True)
async def restore_backup(
    stack: str,
    volumes: list[str] | None = None,
    store: str | None = None,
    backup: int | None = None,
    until: datetime | None = None,
    to: str = "",
    in_place: bool = False,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> BackupsRestored:
    """Afterwards new volumes hold what backups do: the newest, the one numbered, or the newest not after `until`.

    A volume is called as it was where no other is, else `<volume>-restored-<backup>`, or `to`. With `in_place` the
    volumes themselves hold it: instances that have them open stop and start again, what was replaced is a snapshot.
    Raises: BackupError, UnknownName when there is no such backup, Damaged (and nothing is restored), Refused, NoSpace.
    """
    chosen = picked(await backups_in(stack, volumes, store), stack, volumes, backup, until)
    found = await volumes_of(stack)
    if to and (len(chosen) != 1 or in_place):
        raise BadInput("--to names one new volume", "name the volume it comes from: stack/volume")
    if in_place:
        return await _in_place(stack, chosen, found, dry_run, wait_for_lock_s, requested_by, why)
    # A run that was killed and goes on finds what it has restored already.
    taken = {key_of(one) for one in (*found.all, *found.arriving) if one.labels.get(RUN) != str(flow_run.id)}
    if to in taken:
        raise Refused(f"{stack}/{to} exists already", "choose another name, or --in-place to replace what it holds")
    keys = {view.volume: to or free_key(view.volume, view.backup, taken) for view in chosen}
    plan = tuple(f"{view.name}@{view.backup} as {stack}/{keys[view.volume]}" for view in chosen)
    if dry_run:
        return BackupsRestored(stack=stack, store=chosen[0].store, plan=plan, dry_run=True)
    async with announcement(stack, by=requested_by, why=why) as payload:
        revision, run, done = await known_revision(stack), str(flow_run.id), list[VolumeRestored]()
        for view in chosen:
            key = keys[view.volume]
            done.append(await _fetched(view, key, _docker_name(revision, stack, key), await host_for(view, found), run))
        payload |= _told(done)
    return BackupsRestored(stack=stack, store=chosen[0].store, volumes=tuple(done), plan=plan)


@flow(name="recover-stack", flow_run_name="recover {stack}", persist_result=True)
async def recover_stack(
    stack: str,
    store: str | None = None,
    until: datetime | None = None,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> BackupsRestored:
    """Afterwards the stack runs here with the data of its newest backups, as it ran when they were made.

    Needs nothing but the store: the revision is in the backup. Raises: Refused where the stack is deployed, or has
    volumes with other content; BackupError, Damaged, NoSpace, ImageMissing, UpdateFailed, StackLocked.
    """
    why = why or "recover from backups"
    async with stack_lock(stack, who=requested_by, why=why, wait_s=wait_for_lock_s) as lock:
        head = await read_head(stack)
        if head.serving:  # not one whose recovery, or first deploy, was cut short
            hint = f"restore its volumes: stampede backup restore {stack} --in-place; or remove it before"
            raise Refused(f"{stack} is deployed here", hint)
        known = picked(await backups_in(stack, None, store), stack, None, None, until)
        newest = max(known, key=lambda view: view.created)
        revision = await read_app(newest)
        chosen = [view for view in known if view.volume in revision.definition.volumes]
        plan = tuple(f"{view.name}@{view.backup} as {view.name}" for view in chosen)
        warnings = (*_left_out(known, chosen), *_warnings(chosen, newest, revision))
        if dry_run:
            return BackupsRestored(stack=stack, store=newest.store, plan=plan, warnings=warnings, dry_run=True)
        async with announcement(stack, by=requested_by, why=why) as payload:
            host = (await schedulable_hosts())[0]
            # A recovery goes on with what an earlier one restored that failed; but not once the stack has served here,
            # as services may have written to it since.
            run = str(flow_run.id) if head.served else "recovery"
            done = [
                await _fetched(view, view.volume, _docker_name(revision, stack, view.volume), host, run)
                for view in chosen
            ]
            outcome = await _deployed(stack, revision, lock.fence, requested_by, why)
            payload |= {**_told(done), "revision": outcome.revision}
    return BackupsRestored(
        stack=stack,
        store=newest.store,
        volumes=tuple(done),
        revision=outcome.revision,
        plan=plan,
        warnings=(*warnings, *outcome.warnings),
    )


async def _in_place(
    stack: str, chosen: Sequence[BackupView], found: Volumes, dry_run: bool, wait_s: float, by: str, why: str
) -> BackupsRestored:
    """A backup is fetched as a snapshot of its volume, which goes back to that as to any other."""
    why = why or f"restore backup {', '.join(f'{view.name}@{view.backup}' for view in chosen)}"
    coming = {view.volume: _coming(view, found.one(view.volume)) for view in chosen}
    fetched = [Dropped(volume=one.volume, snapshot=one.id, reason="it was fetched") for one in coming.values()]
    done: list[VolumeRestored] = []
    try:
        for view in [] if dry_run else chosen:
            host = found.one(view.volume).host
            step = f"fetch {view.name}"
            done.append(await on_host(host, fetch_snapshot_on_host, step=step, view=view, coming=coming[view.volume]))
        outcome = await _gone_back(stack, found, coming, dry_run, wait_s, by, why)
    except Exception:  # one that is cancelled leaves them, and nobody takes them for the newest
        with suppress(StampedeError):
            await let_go(found, fetched)
        raise
    if not dry_run:
        await let_go(found, fetched)
    plan = tuple(f"{change.action.value} {change.name}: {change.reason}" for change in outcome.changes)
    return BackupsRestored(
        stack=stack,
        store=chosen[0].store,
        volumes=tuple(done),
        revision=outcome.revision,
        plan=plan,
        warnings=outcome.warnings,
        dry_run=dry_run,
    )


async def _gone_back(
    stack: str, found: Volumes, coming: Mapping[str, Snapshot], dry_run: bool, wait_s: float, by: str, why: str
) -> Outcome:
    async with stack_lock(stack, who=by, why=why, wait_s=wait_s) as lock:
        snapshots = {one.volume: one for one in coming.values()}
        return await put_back_data(found, snapshots, fence=lock.fence, by=by, why=why, dry_run=dry_run)


async def _deployed(stack: str, revision: Revision, fence: int, by: str, why: str) -> Outcome:
    draft = Draft(stack=stack, document=revision.document, salt=revision.salt, images=revision.images)
    return await converge_quietly(Request(stack=stack, fence=fence, draft=draft, by=by, why=why))


async def _fetched(view: BackupView, key: str, docker_name: str, host: str, run: str) -> VolumeRestored:
    labels = {KEY: key, RUN: run}
    wanted = WantedVolume(name=docker_name, stack=view.stack, size_bytes=view.size_bytes, labels=labels)
    return await on_host(host, fetch_volume_on_host, step=f"fetch {view.name}", view=view, wanted=wanted)


def _coming(view: BackupView, volume: FoundManagedVolume) -> Snapshot:
    """The snapshot as which a backup comes. Its id is the same whenever this run is resumed, and not the one under
    which what it replaces is kept."""
    moment = flow_run.scheduled_start_time
    return Snapshot(
        id=snapshot_id(moment, [snapshot_id(moment)]),
        volume=volume.name,
        stack=volume.stack,
        created=view.created,
        size_bytes=volume.size_bytes,
        consistency="power-cut",
        together=(volume.name,),
        labels={FETCHED: f"{view.store}/{view.name}@{view.backup}"},
    )


def _docker_name(revision: Revision | None, stack: str, key: str) -> str:
    """What the file calls it, so that the stack finds it."""
    volume = revision.definition.volumes.get(key) if revision else None
    return volume.name if volume and not volume.external else f"{stack}_{key}"


def _left_out(known: Sequence[BackupView], chosen: Sequence[BackupView]) -> tuple[str, ...]:
    return tuple(
        f"{view.name} is left out, as the stack's file had it no more: stampede backup restore {view.name} brings it"
        for view in known
        if view not in chosen
    )


def _warnings(chosen: Sequence[BackupView], newest: BackupView, revision: Revision) -> tuple[str, ...]:
    older = [view for view in chosen if view.created != newest.created]
    empty = sorted(
        {key for key, volume in revision.definition.volumes.items() if not volume.external}
        - {view.volume for view in chosen}
    )
    return (
        *(f"{view.name} is as of {view.created:%Y-%m-%d %H:%M:%S} UTC, older than the newest" for view in older),
        *(f"{newest.stack}/{key} has no backup: it begins empty" for key in empty),
    )


def _told(done: Sequence[VolumeRestored]) -> dict[str, object]:
    return {"volumes": [one.volume for one in done], "restored_bytes": sum(one.restored_bytes for one in done)}
