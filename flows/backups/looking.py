"""What backups there are, whether they are as they were written, and which are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from prefect import flow

from stampede.backup.verify import Level, VerifyReport
from stampede.backup.views import BackupsPruned, BackupsVerified, BackupView, bad_piece, name_of
from stampede.errors import BackupError, BadInput
from stampede.flows.backups.choosing import known_revision, policies_of, stores_of
from stampede.retention import Retention
from stampede.tasks.artifacts import publish_verification
from stampede.tasks.backups import list_store, prune_volume, verify_volume
from stampede.tasks.events import announcement, emit
from stampede.tasks.noting import noted


async def backups_in(
    stack: str, volumes: Sequence[str] | None = None, store: str | None = None
) -> tuple[BackupView, ...]:
    """All backups of the stack (of all if "") in the store, or in those that it may have any in; by volume, oldest
    first."""
    stores = await stores_of(stack, store, volumes)
    one = name_of(stack, volumes[0]) if stack and volumes and len(volumes) == 1 else None
    found = [view for each in stores for view in await list_store(each, one)]
    return tuple(
        view for view in found if (not stack or view.stack == stack) and (not volumes or view.volume in volumes)
    )


@flow(name="list-backups", flow_run_name="list backups", persist_result=True)
async def list_backups(
    stack: str = "", volumes: list[str] | None = None, store: str | None = None
) -> tuple[BackupView, ...]:
    """Backups of a stack, or of all, read from the stores themselves. Raises: UnknownName, Store…, Damaged."""
    return await backups_in(stack, volumes, store)


@flow(name="verify-backups", flow_run_name="verify backups of {stack}", persist_result=True)
async def verify_backups(
    stack: str,
    volumes: list[str] | None = None,
    store: str | None = None,
    level: Level = "full",
    requested_by: str = "",
    why: str = "",
) -> BackupsVerified:
    """What of the kept backups is as it was written: `quick` looks at objects, `sample` and `full` read content again.

    What is bad is named with the backups that it damages, told as `stampede.verify.damaged`, and sent again by the next
    backup. Raises: BackupError when there is none, StoreRefused, StoreUnavailable.
    """
    async with announcement(stack, by=requested_by, why=why) as payload:
        began = time.monotonic()
        known = await backups_in(stack, volumes, store)
        if not known:
            raise BackupError(f"there is no backup of {stack}", "stampede backup run makes one")
        reports: list[VerifyReport] = []
        for in_store, volume, key in sorted({(view.store, view.name, view.volume) for view in known}):
            async with noted(stack, key, "verify") as note:
                reports.append(await verify_volume(in_store, volume, level))
                note.good = not reports[-1].bad
        found = _verified(stack, level, reports)
        await publish_verification(found)
        payload |= {"volumes": list(found.volumes), "checked_bytes": found.checked_bytes, "bad": len(found.bad)}
        if found.bad:
            said = {"stack": stack, "damaged": list(found.damaged), "duration_s": round(time.monotonic() - began, 3)}
            emit("verify.damaged", stack, {**payload, **said})
    return found


@flow(name="prune-backups", flow_run_name="prune backups of {stack}", persist_result=True)
async def prune_backups(
    stack: str,
    volumes: list[str] | None = None,
    keep: Retention | None = None,
    dry_run: bool = False,
    requested_by: str = "",
    why: str = "",
) -> BackupsPruned:
    """Afterwards the volumes have the backups that `keep` says, or else their file; what only others needed goes later.

    Beside backups and other prunings, any time. Raises: BadInput when nobody says what is kept, Overtaken, Damaged (and
    nothing is deleted), StoreRefused, StoreUnavailable.
    """
    rules = await _rules(stack, volumes, keep)
    if dry_run:
        return await _prune(stack, rules, dry_run=True)
    async with announcement(stack, by=requested_by, why=why) as payload:
        done = await _prune(stack, rules, dry_run=False)
        payload |= {
            "volumes": [one.volume for one in done.volumes],
            "dropped": sum(len(one.dropped) for one in done.volumes),
            "deleted_bytes": sum(one.deleted_bytes for one in done.volumes),
        }
    return done


async def _rules(
    stack: str, volumes: Sequence[str] | None, keep: Retention | None
) -> Mapping[str, tuple[str, Retention]]:
    """For each volume its store, and what is kept there."""
    policies = policies_of(await known_revision(stack))
    if unknown := sorted(set(volumes or ()) - policies.keys()):
        raise BadInput(f"{stack}/{unknown[0]} has no x-backups", "x-backups: {store: …, keep: …} says what is kept")
    wanted = {key: policy for key, policy in policies.items() if volumes is None or key in volumes}
    rules = {key: (policy.store, keep or policy.keep) for key, policy in wanted.items()}
    if all(rule == Retention() for _, rule in rules.values()):
        raise BadInput(
            f"nothing says which backups of {stack} are kept", "keep: {daily: 7, …} in x-backups, or --keep daily=7"
        )
    return {key: (store, rule) for key, (store, rule) in rules.items() if rule != Retention()}


async def _prune(stack: str, rules: Mapping[str, tuple[str, Retention]], *, dry_run: bool) -> BackupsPruned:
    done = await asyncio.gather(
        *(
            prune_volume(store, name_of(stack, key), rule, dry_run=dry_run)
            for key, (store, rule) in sorted(rules.items())
        )
    )
    return BackupsPruned(stack=stack, volumes=tuple(done), dry_run=dry_run)


def _verified(stack: str, level: Level, reports: Sequence[VerifyReport]) -> BackupsVerified:
    return BackupsVerified(
        stack=stack,
        level=level,
        volumes=tuple(report.volume for report in reports),
        checked_bytes=sum(report.checked_bytes for report in reports),
        checked_backups=sum(len(report.backups) for report in reports),
        bad=tuple(bad_piece(report.volume, bad) for report in reports for bad in report.bad),
        damaged=tuple(f"{report.volume}@{backup}" for report in reports for backup in report.damaged_backups),
    )
