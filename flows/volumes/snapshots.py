"""Snapshots of volumes on the hosts that have them: taken between the hooks of their services, and let go."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from stampede.errors import StampedeError
from stampede.flows.volumes.hosts import Volumes
from stampede.planning.volume_users import HookRun, has_hooks, hooks_around
from stampede.tasks.hooks import run_hook
from stampede.tasks.on_host import on_hosts
from stampede.tasks.pool import remove_snapshot, take_snapshots
from stampede.tasks.reading import read_found
from stampede.tasks.stack_state import read_head, read_revision
from stampede.tasks.threads import to_the_end
from stampede.volumes.labels import SERVING
from stampede.volumes.models import FoundManagedVolume, Snapshot
from stampede.volumes.relief import Dropped
from stampede.volumes.stall import BUDGET_S


@flow(name="snapshot-on-host", persist_result=True)
async def snapshot_on_host(
    stack: str, volumes: list[str], revision: int, run: str, labels: dict[str, str], budget_s: float
) -> tuple[Snapshot, ...]:
    """Afterwards the volumes of this host (Docker's names) have snapshots of one moment, taken between the hooks.

    `after_snapshot` runs where `before_snapshot` was begun, whatever happened. Raises: DaemonError when a hook fails,
    Refused.
    """
    begun: list[HookRun] = []
    try:
        for hook in await _hooks(stack, revision, volumes):
            begun.append(hook)
            if hook.before:
                await run_hook("before_snapshot", hook.label, hook.container, hook.before)
        taken = await take_snapshots(volumes, run=run, labels=labels, budget_s=budget_s)
    except (Exception, asyncio.CancelledError):
        await to_the_end(_release(begun))
        raise
    if failures := await _release(begun):
        raise failures[0]
    return taken


@flow(name="thin-out-on-host", persist_result=True)
async def thin_out_on_host(drop: list[Dropped]) -> None:
    """Afterwards these snapshots of this host are gone."""
    for one in drop:
        await remove_snapshot(one.volume, one.snapshot)


async def take(
    found: Volumes,
    chosen: Sequence[FoundManagedVolume],
    *,
    labels: Mapping[str, str],
    budget_s: float = BUDGET_S,
    step: str = "snapshot",
) -> tuple[Snapshot, ...]:
    """Afterwards the volumes have snapshots, those of one host of one moment. A flow run takes one per `step`."""
    head = await read_head(found.stack)
    of_host: dict[str, list[str]] = defaultdict(list)
    for volume in chosen:
        of_host[volume.host].append(volume.name)
    asked = {
        host: {
            "stack": found.stack,
            "volumes": names,
            "revision": head.wanted,
            "run": f"{flow_run.id}/{step}",
            "labels": {SERVING: str(head.serving), **labels},
            "budget_s": budget_s,
        }
        for host, names in of_host.items()
    }
    done = await on_hosts(asked, snapshot_on_host, step=step)
    return tuple(snapshot for taken in done.values() for snapshot in taken)


async def let_go(found: Volumes, dropped: Iterable[Dropped], *, step: str = "let snapshots go") -> None:
    """Afterwards these snapshots are gone."""
    host_of = {volume.name: volume.host for volume in found.all}
    of_host: dict[str, list[Dropped]] = defaultdict(list)
    for one in dropped:
        of_host[host_of[one.volume]].append(one)
    await on_hosts({host: {"drop": drop} for host, drop in of_host.items()}, thin_out_on_host, step=step)


async def _release(hooks: Sequence[HookRun]) -> list[StampedeError]:
    """Every `after_snapshot` has run. Returns what failed of them."""
    failures: list[StampedeError] = []
    for hook in hooks:
        if hook.after:
            try:
                await run_hook("after_snapshot", hook.label, hook.container, hook.after)
            except StampedeError as error:
                get_run_logger().warning("%s", error)
                failures.append(error)
    return failures


async def _hooks(stack: str, revision: int, volumes: Sequence[str]) -> list[HookRun]:
    if not revision:
        return []
    definition = (await read_revision(stack, revision)).definition
    if not has_hooks(definition):
        return []
    return hooks_around(definition, volumes, (await read_found(stack)).instances)
