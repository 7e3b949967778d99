"""A backup as a volume that is used at once, and has all of its content some time later."""

from __future__ import annotations

import time
from datetime import datetime

from prefect import flow
from prefect.runtime import flow_run

from stampede.backup.views import BackupView, InstantlyRestored, VolumeArrived, free_key, picked
from stampede.flows.backups.choosing import host_for
from stampede.flows.backups.looking import backups_in
from stampede.flows.volumes.hosts import Volumes, volumes_of
from stampede.tasks.arriving import begin_bringing, bring_rest
from stampede.tasks.events import announcement, emit
from stampede.tasks.on_host import on_host
from stampede.volumes.labels import KEY, RUN
from stampede.volumes.models import FoundManagedVolume, WantedVolume
from stampede.volumes.views import key_of


@flow(name="begin-bringing", persist_result=True)
async def begin_bringing_on_host(view: BackupView, wanted: WantedVolume) -> FoundManagedVolume:
    """Afterwards this host has the volume, which can be used while the rest of it is fetched."""
    return await begin_bringing(view, wanted)


@flow(name="bring-rest", persist_result=True)
async def bring_rest_on_host(view: BackupView, wanted: WantedVolume) -> VolumeArrived:
    """Afterwards all of the volume is on this host."""
    return await bring_rest(view, wanted)


@flow(name="restore-instantly", flow_run_name="restore {stack}/{volume} instantly", persist_result=True)
async def restore_instantly(
    stack: str,
    volume: str,
    store: str | None = None,
    backup: int | None = None,
    until: datetime | None = None,
    to: str = "",
    dry_run: bool = False,
    requested_by: str = "",
    why: str = "",
) -> InstantlyRestored:
    """Afterwards a new volume holds what a backup does. It could be used soon after this began, told as
    `stampede.restore.usable`, and keeps what was written to it meanwhile.

    It is called as by `restore_backup`. Once all of it is here it is a volume like others, unless something uses it:
    then it is when it is next deployed while nothing does, or after a reboot. Cancelled, nothing is left of it unless
    something uses it. Raises: BackupError, UnknownName, Refused, Damaged, StoreUnavailable; InUse when who brought it
    has died and something uses what it left.
    """
    (view,) = picked(await backups_in(stack, [volume], store), stack, [volume], backup, until)
    found = await volumes_of(stack)
    key = _key(view, found, to)
    plan = (f"{view.name}@{view.backup} as {stack}/{key}, at once",)
    if dry_run:
        return InstantlyRestored(stack=stack, store=view.store, plan=plan, dry_run=True)
    labels = {KEY: key, RUN: str(flow_run.id or "")}
    wanted = WantedVolume(name=f"{stack}_{key}", stack=stack, size_bytes=view.size_bytes, labels=labels)
    async with announcement(stack, by=requested_by, why=why) as payload:
        began, host = time.monotonic(), await host_for(view, found)
        step = f"{stack}/{key} can be used"
        await on_host(host, begin_bringing_on_host, step=step, view=view, wanted=wanted)
        usable_s = round(time.monotonic() - began, 3)
        emit("restore.usable", stack, {"stack": stack, "volume": f"{stack}/{key}", "host": host, "usable_s": usable_s})
        step = f"fetch the rest of {stack}/{key}"
        arrived = await on_host(host, bring_rest_on_host, step=step, view=view, wanted=wanted)
        payload |= {"volumes": [arrived.volume], "restored_bytes": arrived.size_bytes}
    return InstantlyRestored(
        stack=stack, store=view.store, usable_s=usable_s, arrived=arrived, plan=plan, warnings=_warnings(arrived)
    )


def _key(view: BackupView, found: Volumes, to: str) -> str:
    """What the volume is called: as this run has called it before it was killed, or by a name that is free."""
    known = (*found.all, *found.arriving)
    own = [key_of(one) for one in known if one.labels.get(RUN) and one.labels[RUN] == str(flow_run.id or "")]
    return own[0] if own else to or free_key(view.volume, view.backup, {key_of(one) for one in known})


def _warnings(arrived: VolumeArrived) -> tuple[str, ...]:
    if arrived.finished:
        return ()
    return (
        f"all of {arrived.volume} is here, and it is in use: it can be snapshot, backed up and resized once it was"
        " unused, after `stampede down` and `stampede up`, or a reboot",
    )
