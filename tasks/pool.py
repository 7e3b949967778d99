"""What flows do with the pool of their host: look, take and remove snapshots, put one back, clone, resize, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prefect import get_run_logger, task

from stampede.stackfile.models import Volume
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import ThisHost, this_host
from stampede.tasks.threads import in_thread
from stampede.tasks.volumes import bound_to
from stampede.volumes.models import FoundManagedVolume, Snapshot, WantedVolume
from stampede.volumes.stall import BUDGET_S
from stampede.volumes.views import HostVolumes


@task(task_run_name="look at the managed volumes of this host", **RETRY_TRANSIENT)
async def read_pool(stack: str) -> HostVolumes:
    """The pool, and the volumes of a stack (of all if "") with their snapshots."""
    return await in_thread(_read_pool, this_host(), stack)


@task(task_run_name="snapshot {volumes}", **RETRY_TRANSIENT)
async def take_snapshots(
    volumes: Sequence[str], *, run: str, labels: Mapping[str, str], budget_s: float = BUDGET_S
) -> tuple[Snapshot, ...]:
    """Afterwards each of the volumes has a snapshot of one and the same moment, labelled with the run.

    A run that took them before gets those. Raises: Refused when writers would wait for too long or the pool is full.
    """
    made = await in_thread(this_host().pool.snapshot, volumes, run=run, labels=labels, budget_s=budget_s)
    for one in made:
        get_run_logger().info("%s@%s: writers waited %.1f ms", one.volume, one.id, one.stall_s * 1000)
    return made


@task(task_run_name="remove snapshot {snapshot} of {volume}", **RETRY_TRANSIENT)
async def remove_snapshot(volume: str, snapshot: str) -> None:
    """Afterwards it is gone."""
    await in_thread(this_host().pool.remove_snapshot, volume, snapshot)


async def check_snapshots(snapshots: Mapping[str, str]) -> None:
    """Returns if each of these volumes has its snapshot. Raises: UnknownName."""
    for volume, snapshot in snapshots.items():
        await in_thread(this_host().pool.snapshot_image, volume, snapshot)


async def volumes_with(volumes: Sequence[str], snapshot: str) -> list[str]:
    """Those of the volumes that have a snapshot of this id."""
    pool = this_host().pool
    return [volume for volume in volumes if snapshot in {one.id for one in await in_thread(pool.snapshots, volume)}]


@task(task_run_name="put {volume} back to {snapshot}", **RETRY_TRANSIENT)
async def put_back(mandate: Mandate, volume: str, snapshot: str, safety: str) -> Snapshot:
    """Afterwards the volume holds what the snapshot does; what it held is the snapshot `safety`, which is returned.

    Raises: Refused while something uses the volume, UnknownName, Fenced.
    """
    mandate.check()
    return await in_thread(this_host().pool.restore, volume, snapshot, safety=safety)


@task(task_run_name="clone {volume} to {new.name}", **RETRY_TRANSIENT)
async def clone_volume(volume: str, snapshot: str, new: WantedVolume) -> FoundManagedVolume:
    """Afterwards `new` is a volume of its own, in the pool and for Docker, with the content of the snapshot.

    Raises: Foreign or Refused when another one has that name, or the pool cannot promise its size.
    """
    host = this_host()
    there = {found.name: found for found in await in_thread(host.pool.volumes)}.get(new.name)
    if there is None or there.origin != f"{volume}@{snapshot}":
        there = await in_thread(host.pool.clone, volume, snapshot, new)
    await in_thread(show_to_docker, host, there)
    return there


@task(task_run_name="make volume {wanted.name}", **RETRY_TRANSIENT)
async def make_volume(wanted: WantedVolume) -> FoundManagedVolume:
    """Afterwards it is there, in the pool and for Docker; empty if it was not. Raises: Foreign, Refused."""
    host = this_host()
    found = await in_thread(host.pool.ensure_volume, wanted)
    await in_thread(show_to_docker, host, found)
    return found


@task(task_run_name="resize {volume}", **RETRY_TRANSIENT)
async def resize_volume(mandate: Mandate, volume: str, size_bytes: int) -> FoundManagedVolume:
    """Afterwards it has this size. Raises: Refused when it would shrink, or is in use where that keeps it; Fenced."""
    mandate.check()
    return await in_thread(this_host().pool.resize, volume, size_bytes)


@task(task_run_name="compact {volume}", **RETRY_TRANSIENT)
async def compact_volume(mandate: Mandate, volume: str) -> FoundManagedVolume:
    """Afterwards its image lies in few extents, so that snapshots are quick. Raises: InUse, Refused, Fenced."""
    mandate.check()
    return await in_thread(this_host().pool.compact, volume)


def show_to_docker(host: ThisHost, found: FoundManagedVolume) -> None:
    """Afterwards Docker has a volume of this name that binds its data. Raises: Foreign for one that is not ours."""
    volume = bound_to(Volume(name=found.name), found)
    host.docker.volumes.ensure_volume(volume, cluster=host.cluster, stack=found.stack)


def _read_pool(host: ThisHost, stack: str) -> HostVolumes:
    volumes = host.pool.volumes(stack or None)
    snapshots = {volume.name: host.pool.snapshots(volume.name) for volume in volumes if volume.snapshots}
    return HostVolumes(
        host=host.name,
        pool=host.pool.status(),
        volumes=volumes,
        arriving=host.pool.arrivals(stack or None),
        snapshots=snapshots,
    )
