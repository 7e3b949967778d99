"""The image of a volume: given another size, or laid out anew. What uses the volume stops for that where it has to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prefect import flow
from prefect.runtime import flow_run

from stampede.errors import InUse
from stampede.flows.converge import Request
from stampede.flows.volumes.hosts import volumes_of
from stampede.flows.volumes.restore_stack import running_revision
from stampede.flows.volumes.standstill import while_stopped
from stampede.planning.changes import Action, Change, Outcome
from stampede.tasks.events import announcement
from stampede.tasks.locks import StackLock, stack_lock
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_host
from stampede.tasks.pool import compact_volume as compact_here
from stampede.tasks.pool import resize_volume as resize_here
from stampede.volumes.models import FoundManagedVolume

Remaking = Callable[[FoundManagedVolume, Mandate, str], Awaitable[object]]


@flow(name="resize-on-host", persist_result=True)
async def resize_on_host(volume: str, size_bytes: int, mandate: Mandate) -> FoundManagedVolume:
    """Afterwards this volume of this host has that size."""
    return await resize_here(mandate, volume, size_bytes)


@flow(name="compact-on-host", persist_result=True)
async def compact_on_host(volume: str, mandate: Mandate) -> FoundManagedVolume:
    """Afterwards the image of this volume of this host lies in few extents."""
    return await compact_here(mandate, volume)


@flow(name="resize-volume", flow_run_name="resize {stack}/{volume}", persist_result=True)
async def resize_volume(
    stack: str,
    volume: str,
    size_bytes: int,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards the volume has this size. Where the kernel grows only what nothing uses, its instances stop for it.

    Raises: UnknownName, Refused when it would shrink or the pool cannot promise that much, StackLocked.
    """

    async def resize(one: FoundManagedVolume, mandate: Mandate, step: str) -> None:
        await on_host(one.host, resize_on_host, step=step, volume=one.name, size_bytes=size_bytes, mandate=mandate)

    async with stack_lock(stack, who=requested_by, why=why or "resize", wait_s=wait_for_lock_s) as lock:
        return await _remade(lock, volume, resize, "resize", requested_by, why, dry_run)


@flow(name="compact-volume", flow_run_name="compact {stack}/{volume}", persist_result=True)
async def compact_volume(
    stack: str,
    volume: str,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards the image of the volume lies in few extents, so that snapshots of it stop its writers but shortly.

    Its instances stop for it. It shares nothing with its snapshots any more, so all of it takes room anew.
    Raises: UnknownName, Refused when the pool has no room for that, StackLocked.
    """

    async def compact(one: FoundManagedVolume, mandate: Mandate, step: str) -> None:
        await on_host(one.host, compact_on_host, step=step, volume=one.name, mandate=mandate)

    async with stack_lock(stack, who=requested_by, why=why or "compact", wait_s=wait_for_lock_s) as lock:
        return await _remade(lock, volume, compact, "compact", requested_by, why, dry_run)


async def _remade(
    lock: StackLock, volume: str, remake: Remaking, verb: str, by: str, why: str, dry_run: bool
) -> Outcome:
    """It is tried while the volume is used; only what has to wait for that to end stops anything."""
    stack = lock.stack
    one = (await volumes_of(stack)).one(volume)
    line = Change(action=Action.UPDATE, kind="volume", name=f"{stack}/{volume}", host=one.host, reason=verb)
    done = Outcome(stack=stack, revision=None, changes=(line,), dry_run=dry_run)
    if dry_run:
        return done

    async def work(mandate: Mandate) -> None:
        await remake(one, mandate, verb)

    async with announcement(stack, by=by, why=why):
        try:
            mandate = Mandate(stack=stack, fence=lock.fence, run=str(flow_run.id or ""))
            await remake(one, mandate, f"{verb} while it is used")
        except InUse:
            running = await running_revision(stack)
            request = Request(
                stack=stack, fence=lock.fence, draft=None, revision=running, why=why or verb, going_back=True
            )
            outcome = await while_stopped(request, running, [one], work)
            return outcome.model_copy(update={"changes": (line, *outcome.changes)})
    return done
