"""Drill: the newest backups are restored beside the app, and a service runs on them where nothing gets out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from prefect import flow
from prefect.runtime import flow_run

from stampede.backup.views import BackupView, DrillReport, newest, picked
from stampede.documents import Revision
from stampede.errors import BackupError, BadInput, ImageMissing
from stampede.flows.backups.looking import backups_in
from stampede.locking import drill_of
from stampede.planning.dependencies import levels
from stampede.planning.drill import binds, drilled, of_one_file, scratch_name, without
from stampede.planning.expansion import expand
from stampede.planning.instances import Instance
from stampede.planning.slots import as_old
from stampede.tasks.artifacts import publish_drill
from stampede.tasks.backups import read_app
from stampede.tasks.containers import ensure_container, remove_container
from stampede.tasks.drills import look_for_ways_out, run_check, volumes_in_pool
from stampede.tasks.events import announcement
from stampede.tasks.fetching import fetch_volume
from stampede.tasks.files import ensure_files, remove_files
from stampede.tasks.health import wait_until_healthy
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.images import missing_images
from stampede.tasks.locks import stack_lock
from stampede.tasks.mandate import Mandate
from stampede.tasks.networks import AddressBook, ensure_network, remove_network
from stampede.tasks.noting import noted
from stampede.tasks.on_host import on_host
from stampede.tasks.reading import read_found
from stampede.tasks.schedules import is_overdue
from stampede.tasks.stores import prove_recovery_key
from stampede.tasks.volumes import remove_volume
from stampede.volumes.labels import KEY
from stampede.volumes.models import WantedVolume

_SETTLE_S = 5.0  # without a health check, a service has to run for so long


@flow(name="drill-restore", flow_run_name="drill {stack}", persist_result=True)
async def drill_restore(
    stack: str,
    volumes: list[str] | None = None,
    store: str | None = None,
    scheduled: bool = False,
    requested_by: str = "",
    why: str = "",
) -> DrillReport:
    """The newest backups were restored to scratch volumes, every block compared with its hash, and the services that
    use them ran healthy on them, in a network without a way out; then all of it was removed.

    Which service, and what has to succeed inside it, is what `drill:` of the backed-up file says. A scheduled one does
    nothing when the next one is due already. Raises: BackupError, Damaged, Unhealthy, DaemonError of a check, Refused
    when the pool has no room for a second copy.
    """
    if scheduled and await is_overdue(volumes):
        return DrillReport(stack=stack, warnings=("skipped: the next one is due already",))
    async with (
        announcement(stack, by=requested_by, why=why) as payload,
        stack_lock(drill_of(stack), who=requested_by, why=why or "drill") as lock,
    ):
        found = picked(await backups_in(stack, volumes, store), stack, volumes, None, None)
        async with AsyncExitStack() as notes:
            about = {view: await notes.enter_async_context(noted(stack, view.volume, "drill")) for view in found}
            views, warnings = of_one_file(found, await read_app(newest(found)), volumes)
            host = await _host_for(views)
            mandate = Mandate(stack=scratch_name(stack), fence=lock.fence, run=str(flow_run.id or ""))
            report = await on_host(host, drill_on_host, step="drill", stack=stack, views=list(views), mandate=mandate)
            report = report.model_copy(update={"warnings": warnings})
            for view, note in about.items():
                note.told, note.data_age_s = view in views, report.data_age_s
        await publish_drill(report)
        payload |= report.model_dump(mode="json", include={"volumes", "recovery_s", "data_age_s", "verified_bytes"})
    return report


@flow(name="drill-on-host", persist_result=True)
async def drill_on_host(stack: str, views: list[BackupView], mandate: Mandate) -> DrillReport:
    """Afterwards this host has restored these backups and run the app on them, and nothing of that is left."""
    began = time.monotonic()
    revision = await read_app(newest(views))
    await clean_up(mandate)
    stores = sorted({view.store for view in views})
    for store in stores:
        await prove_recovery_key(store)
    try:
        restored = [await fetch_volume(view, _scratch(view, mandate.stack), thoroughly=True) for view in views]
        scratch, left_out = await _app(revision, views)
        await _run(mandate, scratch)
        recovery_s = time.monotonic() - began
        checks = await _check(mandate, revision, scratch, views)
    finally:
        await clean_up(mandate)
    return DrillReport(
        stack=stack,
        host=restored[0].host,
        volumes=tuple(view.name for view in views),
        backups=tuple(view.backup for view in views),
        services=tuple(scratch.definition.services),
        checks=checks,
        opened=tuple(stores),
        left_out=left_out,
        verified_bytes=sum(one.restored_bytes for one in restored),
        recovery_s=round(recovery_s, 3),
        data_age_s=round((datetime.now(UTC) - min(view.created for view in views)).total_seconds(), 3),
    )


async def clean_up(mandate: Mandate) -> None:
    """Afterwards this host has nothing of the drill, also of one that was killed."""
    found = await read_found(mandate.stack)
    for one in found.instances:
        await remove_container(mandate, as_old(one), with_anonymous_volumes=True)
    for network in found.networks:
        await remove_network(mandate, network.name)
    # One that was killed while it restored may have left a volume that Docker was not told of yet.
    for name in sorted({volume.name for volume in found.volumes} | set(await volumes_in_pool(mandate.stack))):
        await remove_volume(mandate, name)
    await remove_files(mandate, None)


async def _app(revision: Revision, views: Sequence[BackupView]) -> tuple[Revision, tuple[str, ...]]:
    """What is drilled of the app, with its images on this host; and which mounts of this host it does not get."""
    keys = [view.volume for view in views]
    policies = [volume.backups for key, volume in revision.definition.volumes.items() if key in keys]
    named = sorted({one.drill.service for one in policies if one and one.drill and one.drill.service})
    scratch = drilled(revision, keys, named)
    if not scratch.images:
        raise BackupError(
            f"no service of {revision.stack} mounts {', '.join(keys)}",
            "the backup was restored, and there is nothing to run on it",
        )
    if missing := await missing_images(scratch.stack, scratch.images):
        service, why = next(iter(missing.items()))
        raise ImageMissing(f"services.{service}.image: it cannot be had for the drill: {why}")
    return without(scratch, await look_for_ways_out(binds(scratch)))


async def _run(mandate: Mandate, scratch: Revision) -> None:
    """The services run, each healthy before those that depend on it start."""
    definition = scratch.definition
    (network,) = definition.networks.values()
    subnet = await ensure_network(mandate, network)
    instances = _instances(scratch)
    await ensure_files(mandate, scratch, list(instances.values()))
    book = AddressBook({network.name: network}, {network.name: subnet})
    await book.give(list(instances.values()))
    for name in (name for level in levels(definition.services) for name in level):
        instance = instances[name]
        container = await ensure_container(
            mandate,
            instance,
            reason="a drill of its backups",
            addresses=book.given[instance.name],
            anonymous_volumes={},
            ports={},
            companions={},
        )
        await wait_until_healthy(instance, container, _SETTLE_S)


async def _check(
    mandate: Mandate, revision: Revision, scratch: Revision, views: Sequence[BackupView]
) -> tuple[str, ...]:
    """The checks that `drill:` asks for have succeeded inside these services. Raises: DaemonError, BadInput.

    What the commands are is not told: a file may have put a password into one.
    """
    done: list[str] = []
    services = list(scratch.definition.services)
    for view in views:
        backups = revision.definition.volumes[view.volume].backups
        if not backups or not backups.drill or not backups.drill.check:
            continue
        service = backups.drill.service or services[0]
        if service not in services:
            raise BadInput(f"x-backups.drill.service {service} does not mount {view.name}", "name one that does")
        await run_check(_instances(scratch)[service], backups.drill.check)
        done.append(service)
    return tuple(dict.fromkeys(done))


def _instances(scratch: Revision) -> dict[str, Instance]:
    homes = {(name, 1): "" for name in scratch.definition.services}
    return {instance.service: instance for instance in expand(scratch, homes)}


def _scratch(view: BackupView, scratch: str) -> WantedVolume:
    return WantedVolume(
        name=f"{scratch}_{view.volume}", stack=scratch, size_bytes=view.size_bytes, labels={KEY: view.volume}
    )


async def _host_for(views: Sequence[BackupView]) -> str:
    """Where the volumes are, if that host is there."""
    hosts = await schedulable_hosts()
    return next((view.host for view in views if view.host in hosts), hosts[0])
