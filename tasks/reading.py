"""What is there, read from the host itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from prefect import task

from stampede.balancer.taken import all_taken
from stampede.blocks.adopted_volumes import adopted_volumes
from stampede.planning.found import FoundHost, FoundVolume
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


@task(task_run_name="read what this host has of {stack}", **RETRY_TRANSIENT)
async def read_found(stack: str) -> FoundHost:
    """Instances, networks, volumes and published ports of a stack, and what somebody else has on this host."""
    host = this_host()
    found, balanced, listening, project, managed = await asyncio.gather(
        in_thread(host.docker.found, host.name, host.cluster, stack),
        in_thread(host.haproxy.desired, stack),
        in_thread(host.haproxy.taken, stack),
        in_thread(host.docker.projects.look, stack),
        in_thread(host.pool.volumes, stack),
    )
    sizes = {volume.name: volume.size_bytes for volume in managed}
    runs = await in_thread(host.haproxy.is_running) if balanced.listeners else True
    adopted = adopted_volumes(host.places, stack) & set(project.volumes)
    volumes = (FoundVolume(name=name, stack=stack, adopted=True) for name in sorted(adopted))
    return found.model_copy(
        update={
            "volumes": (*(_with_size(volume, sizes) for volume in found.volumes), *volumes),
            "project_networks": project.networks,
            "project_volumes": tuple(name for name in project.volumes if name not in adopted),
            "balanced": balanced,
            "balancer_runs": runs,
            "taken": all_taken(found.taken, listening, stack, {instance.id for instance in found.instances}),
        }
    )


def _with_size(volume: FoundVolume, sizes: Mapping[str, int]) -> FoundVolume:
    return volume.model_copy(update={"size_bytes": sizes.get(volume.name)}) if volume.managed else volume
