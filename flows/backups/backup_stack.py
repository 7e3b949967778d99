"""Back up: all volumes of a stack that its file says so of, as they were at one moment, each to its store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prefect import flow

from stampede.backup.views import StackBackedUp, VolumeBackedUp
from stampede.documents import Revision
from stampede.errors import StampedeError
from stampede.flows.backups.choosing import BackedUp, Choice, backed_up, known_revision, refuse_missing
from stampede.flows.volumes.hosts import Volumes, volumes_of
from stampede.flows.volumes.snapshots import take
from stampede.frozen import Frozen
from stampede.locking import backups_of
from stampede.tasks.artifacts import publish_backups
from stampede.tasks.backups import Work, back_up, let_earlier_go, prune_volume
from stampede.tasks.events import announcement, emit_of_volume
from stampede.tasks.locks import stack_lock
from stampede.tasks.noting import noted
from stampede.tasks.on_host import on_hosts
from stampede.tasks.schedules import PATIENCE_S, is_overdue
from stampede.tasks.stores import store_for_backups
from stampede.volumes.labels import BACKUP, KEEP, TAKEN_BY

_SIDE_BY_SIDE = 2  # each has threads of its own


class HostBackedUp(Frozen):
    """What one host did. Warnings are about what did not keep a backup from being made."""

    volumes: tuple[VolumeBackedUp, ...] = ()
    warnings: tuple[str, ...] = ()


@flow(name="back-up-on-host", persist_result=True)
async def back_up_on_host(stack: str, revision: int, work: list[Work]) -> HostBackedUp:
    """Afterwards each of these volumes of this host has a backup, and of earlier ones those that its file keeps.

    When some fail, the others finish first; then the first error is raised.
    """
    turns = asyncio.Semaphore(_SIDE_BY_SIDE)
    warnings: list[str] = []

    async def one(each: Work) -> VolumeBackedUp:
        async with turns, noted(stack, each.key, "backup") as note:
            await let_earlier_go(each)
            done = await back_up(stack, each, revision)
            note.stored_bytes, note.logical_bytes = done.uploaded_bytes, done.logical_bytes
            emit_of_volume("backup.good", stack, each.key, {"backup": done.backup, "store": done.store})
            await let_earlier_go(each)
            return await _thinned_out(done, each, warnings)

    done = await asyncio.gather(*(one(each) for each in work), return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    return HostBackedUp(
        volumes=tuple(outcome for outcome in done if isinstance(outcome, VolumeBackedUp)), warnings=tuple(warnings)
    )


@flow(name="backup-stack", flow_run_name="back up {stack}", persist_result=True)
async def backup_stack(
    stack: str,
    volumes: list[str] | None = None,
    scheduled: bool = False,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> StackBackedUp:
    """Afterwards the volumes, all with x-backups if none is named, have a backup of one and the same moment.

    One snapshot is taken of all of them (of those of one host; each host has its own moment), which the next backup is
    compared with. It goes on while the stack runs and changes. Killed and run again, it sends what is missing. A
    scheduled one waits until another has ended, does nothing when the next one is due already, and leaves out volumes
    that are nowhere; it fails in the end if services use one of those.
    Raises: UnknownName, BadInput, Refused for a store whose recovery key nobody has confirmed, StackLocked while
    another backup of the stack is under way, BackupError, StoreRefused, StoreUnavailable, Foreign.
    """
    late = StackBackedUp(stack=stack, warnings=("skipped: the next one is due already",))
    if scheduled and await is_overdue(volumes):
        return late
    if dry_run:
        _, _, choice = await _choose(stack, volumes, scheduled=scheduled)
        planned = tuple(_plan(stack, one) for one in choice.volumes)
        return StackBackedUp(stack=stack, planned=planned, warnings=choice.warnings, dry_run=True)
    wait_s = max(wait_for_lock_s, PATIENCE_S if scheduled else 0.0)
    async with stack_lock(backups_of(stack), who=requested_by, why=why or "backup", wait_s=wait_s):
        if scheduled and await is_overdue(volumes):
            return late
        async with announcement(stack, by=requested_by, why=why) as payload:
            found, revision, choice = await _choose(stack, volumes, scheduled=scheduled)
            outcome = await _carry_out(found, choice, revision)
            await publish_backups(outcome)
            refuse_missing(revision, choice)
            payload |= {
                "volumes": [one.volume for one in outcome.volumes],
                "uploaded_bytes": sum(one.uploaded_bytes for one in outcome.volumes),
            }
    return outcome


@flow(name="backup-volume", flow_run_name="back up {stack}/{volume}", persist_result=True)
async def backup_volume(
    stack: str,
    volume: str,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> StackBackedUp:
    """The same for one volume."""
    return await backup_stack.fn(stack, [volume], False, dry_run, wait_for_lock_s, requested_by, why)


async def _choose(
    stack: str, volumes: Sequence[str] | None, *, scheduled: bool
) -> tuple[Volumes, Revision | None, Choice]:
    """What is backed up, to stores that are ready for it."""
    revision = await known_revision(stack)
    found = await volumes_of(stack)
    choice = backed_up(found, revision, volumes, scheduled=scheduled)
    for store in sorted({one.policy.store for one in choice.volumes}):
        await store_for_backups(store)
    return found, revision, choice


async def _carry_out(found: Volumes, choice: Choice, revision: Revision | None) -> StackBackedUp:
    chosen = choice.volumes
    taken = {
        one.volume: one
        for one in await take(found, [one.volume for one in chosen], labels={TAKEN_BY: BACKUP, KEEP: BACKUP})
    }
    of_host: dict[str, list[Work]] = {}
    for one in chosen:
        snapshot = taken[one.volume.name]
        work = Work(
            key=one.key,
            volume=one.volume.name,
            snapshot=snapshot.id,
            created=snapshot.created,
            store=one.policy.store,
            keep=one.policy.keep,
        )
        of_host.setdefault(one.volume.host, []).append(work)
    asked = {
        host: {"stack": found.stack, "revision": revision.number if revision else 0, "work": work}
        for host, work in of_host.items()
    }
    done = await on_hosts(asked, back_up_on_host, step="back up")
    return StackBackedUp(
        stack=found.stack,
        volumes=tuple(sorted((one for host in done.values() for one in host.volumes), key=lambda one: one.volume)),
        warnings=(*choice.warnings, *(warning for host in done.values() for warning in host.warnings)),
    )


async def _thinned_out(done: VolumeBackedUp, work: Work, warnings: list[str]) -> VolumeBackedUp:
    """What was done, with the backups that the file does not keep. One that cannot be dropped now goes next time."""
    if not work.keeps:
        return done
    try:
        pruned = await prune_volume(work.store, done.volume, work.keep)
    except StampedeError as error:
        warnings.append(f"{done.volume}: earlier backups were not pruned: {error.message}")
        return done
    return done.model_copy(update={"dropped": pruned.dropped})


def _plan(stack: str, one: BackedUp) -> str:
    return f"{stack}/{one.key} on {one.volume.host} to {one.policy.store}"
