"""Volumes as a whole: made, cloned, removed; and single snapshots removed."""

from __future__ import annotations

from prefect import flow

from stampede.errors import BadInput, Refused, UnknownName
from stampede.flows.volumes.hosts import volumes_of
from stampede.flows.volumes.restore_stack import running_revision
from stampede.flows.volumes.snapshots import let_go, take
from stampede.planning.volume_users import services_on
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.locks import stack_lock
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_host
from stampede.tasks.pool import clone_volume as clone_here
from stampede.tasks.pool import make_volume as make_here
from stampede.tasks.volumes import remove_volume as remove_here
from stampede.volumes.labels import KEEP, KEY, TAKEN_BY
from stampede.volumes.models import FoundManagedVolume, WantedVolume
from stampede.volumes.relief import Dropped
from stampede.volumes.views import VolumeView, key_of, view_of


@flow(name="make-on-host", persist_result=True)
async def make_on_host(wanted: WantedVolume) -> FoundManagedVolume:
    """Afterwards this host has the volume."""
    return await make_here(wanted)


@flow(name="clone-on-host", persist_result=True)
async def clone_on_host(volume: str, snapshot: str, new: WantedVolume) -> FoundManagedVolume:
    """Afterwards this host has `new`, with the content of the snapshot."""
    return await clone_here(volume, snapshot, new)


@flow(name="remove-on-host", persist_result=True)
async def remove_on_host(volume: str, mandate: Mandate) -> None:
    """Afterwards this host has no such volume, and no snapshot of it."""
    await remove_here(mandate, volume)


@flow(name="create-volume", flow_run_name="create {stack}/{volume}", persist_result=True)
async def create_volume(stack: str, volume: str, size_bytes: int, host: str = "") -> VolumeView:
    """Afterwards the stack has an empty managed volume of this key, on `host` or on the first there is.

    Raises: Refused when it has one already, or the pool cannot promise its size; UnknownName for the host.
    """
    found = await volumes_of(stack)
    hosts = await schedulable_hosts()
    if host and host not in hosts:
        raise UnknownName(f"there is no host {host}", f"there are {', '.join(hosts)}")
    if volume in {key_of(one) for one in (*found.all, *found.arriving) if one.labels.get(KEY)}:
        raise Refused(f"{stack}/{volume} exists already", "choose another name, or resize it")
    wanted = WantedVolume(name=f"{stack}_{volume}", stack=stack, size_bytes=size_bytes, labels={KEY: volume})
    return view_of(await on_host(host or hosts[0], make_on_host, step="make the volume", wanted=wanted))


@flow(name="clone-volume", flow_run_name="clone {stack}/{volume} to {new}", persist_result=True)
async def clone_volume(
    stack: str, volume: str, new: str, snapshot: str = "", new_stack: str = "", size_bytes: int | None = None
) -> VolumeView:
    """Afterwards `new` is a volume of this stack or another, with the content of a snapshot, or as it is now.

    Raises: UnknownName, Refused when there is another volume of that name or the pool cannot promise its size.
    """
    found = await volumes_of(stack)
    origin = found.one(volume)
    if (new_stack or stack, new) == (stack, volume):
        raise BadInput(f"{stack}/{volume} cannot be a clone of itself", "give the clone another name")
    if snapshot:
        source = found.snapshot(origin, snapshot).id
    else:
        source = (await take(found, [origin], labels={TAKEN_BY: "hand"}, step="snapshot for the clone"))[0].id
    wanted = WantedVolume(
        name=f"{new_stack or stack}_{new}",
        stack=new_stack or stack,
        size_bytes=size_bytes or origin.size_bytes,
        labels={KEY: new},
    )
    made = await on_host(origin.host, clone_on_host, step="clone", volume=origin.name, snapshot=source, new=wanted)
    if not snapshot:
        await let_go(found, [Dropped(volume=origin.name, snapshot=source, reason="it was for the clone")])
    return view_of(made)


@flow(name="remove-volume", flow_run_name="remove {stack}/{volume}", persist_result=True)
async def remove_volume(
    stack: str, volume: str, wait_for_lock_s: float = 0.0, requested_by: str = "", why: str = ""
) -> None:
    """Afterwards the volume is gone, with its data and all its snapshots. Backups of it stay. One that is arriving from
    a backup is not fetched any further.

    Raises: UnknownName, Refused while the stack that runs uses it, or anything else has it open; StackLocked.
    """
    async with stack_lock(stack, who=requested_by, why=why or "remove a volume", wait_s=wait_for_lock_s) as lock:
        found = await volumes_of(stack)
        arriving = [each for each in found.arriving if key_of(each) == volume]
        one = arriving[0] if arriving else found.one(volume)
        running = await running_revision(stack)
        if running and (users := services_on(running.definition, [one.name])):
            hint = "take it out of the stack file and `stampede up` first"
            raise Refused(f"{stack}/{volume} is used by {', '.join(users)}", hint)
        mandate = Mandate(stack=stack, fence=lock.fence)
        await on_host(one.host, remove_on_host, step="remove", volume=one.name, mandate=mandate)


@flow(name="remove-snapshot", flow_run_name="remove snapshot {snapshot}", persist_result=True)
async def remove_snapshot(stack: str, snapshot: str, volumes: list[str] | None = None, force: bool = False) -> int:
    """Afterwards the volumes, all of the stack if none is named, have no such snapshot. Returns how many went.

    Raises: UnknownName, Refused for one that the next backup is compared with, unless `force` is said.
    """
    found = await volumes_of(stack)
    chosen = [v for v in found.chosen(volumes) if volumes or any(one.id == snapshot for one in found.snapshots(v))]
    if not chosen:
        raise UnknownName(f"{stack} has no snapshot {snapshot}", f"`stampede snapshot ls {stack}` lists them")
    snapshots = [found.snapshot(volume, snapshot) for volume in chosen]
    if any(KEEP in one.labels for one in snapshots) and not force:
        hint = "--force removes it; the next backup then reads the whole volume"
        raise Refused(f"snapshot {snapshot} is what the next backup is compared with", hint)
    await let_go(found, [Dropped(volume=s.volume, snapshot=s.id, reason="asked for") for s in snapshots])
    return len(snapshots)
