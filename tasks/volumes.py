"""Named volumes of stacks: Docker's own, and managed ones, which are a volume of the pool that Docker binds."""

from __future__ import annotations

from prefect import task

from stampede.blocks.adopted_volumes import adopted_volumes
from stampede.planning import identity
from stampede.stackfile.models import Volume
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread
from stampede.volumes.labels import KEY
from stampede.volumes.models import FoundManagedVolume, WantedVolume


@task(task_run_name="ensure volume {volume.name}", **RETRY_TRANSIENT)
async def ensure_volume(mandate: Mandate, key: str, volume: Volume) -> None:
    """Afterwards the volume that the file calls `key` exists; what it holds is left alone. It may have grown.

    Raises: Foreign, DaemonError if external and missing, Refused when the pool cannot promise its size, Fenced.
    """
    mandate.check()
    host = this_host()
    if volume.managed:
        found = await in_thread(_in_pool, mandate.stack, key, volume)
        volume = bound_to(volume, found)
    elif not volume.external:
        # One that was adopted stays a managed one, also for a file that does not say so: an empty one must not hide it.
        there = {found.name: found for found in await in_thread(host.pool.volumes, mandate.stack)}
        volume = bound_to(volume, there[volume.name]) if volume.name in there else volume
    adopted = volume.name in adopted_volumes(host.places, mandate.stack)
    await in_thread(
        host.docker.volumes.ensure_volume, volume, cluster=host.cluster, stack=mandate.stack, adopted=adopted
    )


@task(task_run_name="remove volume {name}", **RETRY_TRANSIENT)
async def remove_volume(mandate: Mandate, name: str) -> None:
    """Afterwards it and its data are gone, with the snapshots of a managed one.

    Raises: Foreign, DaemonError or Refused while something uses it, Fenced.
    """
    mandate.check()
    host = this_host()
    # Docker's goes last: a change that is killed in between finds it, and so the other half, when it is run again.
    await in_thread(host.pool.drop_arrival, name)
    if name in {volume.name for volume in await in_thread(host.pool.volumes, mandate.stack)}:
        await in_thread(host.pool.remove_volume, name)
    await in_thread(host.docker.volumes.remove_volume, name, cluster=host.cluster)


def bound_to(volume: Volume, found: FoundManagedVolume) -> Volume:
    """The volume as Docker is told of it: a bind of a directory that is there only while the volume is mounted."""
    return volume.model_copy(
        update={
            "driver": "local",
            "driver_opts": {"type": "none", "o": "bind", "device": found.data},
            "labels": {**volume.labels, identity.MANAGED: "true"},
        }
    )


def _in_pool(stack: str, key: str, volume: Volume) -> FoundManagedVolume:
    """The volume of the pool, made or grown if need be."""
    pool = this_host().pool
    wanted = WantedVolume(name=volume.name, stack=stack, size_bytes=volume.size_bytes, labels={KEY: key})
    found = pool.ensure_volume(wanted)
    if found.arriving is not None:
        return found  # it grows with the next change after all of it is here
    if volume.size is not None and volume.size > found.size_bytes:
        return pool.resize(volume.name, volume.size)
    return found
