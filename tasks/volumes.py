"""Named volumes of stacks. Managed volumes, which can be snapshot and backed up, come in beside these."""

from __future__ import annotations

from prefect import task

from stampede.blocks.adopted_volumes import adopted_volumes
from stampede.stackfile.models import Volume
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


@task(task_run_name="ensure volume {volume.name}", **RETRY_TRANSIENT)
async def ensure_volume(mandate: Mandate, volume: Volume) -> None:
    """Afterwards it exists; what it holds is left alone.

    Raises: Foreign, DaemonError if external and missing, Fenced.
    """
    mandate.check()
    host = this_host()
    adopted = volume.name in adopted_volumes(host.places, mandate.stack)
    await in_thread(
        host.docker.volumes.ensure_volume, volume, cluster=host.cluster, stack=mandate.stack, adopted=adopted
    )


@task(task_run_name="remove volume {name}", **RETRY_TRANSIENT)
async def remove_volume(mandate: Mandate, name: str) -> None:
    """Afterwards it and its data are gone. Raises: Foreign, DaemonError while something uses it, Fenced."""
    mandate.check()
    host = this_host()
    await in_thread(host.docker.volumes.remove_volume, name, cluster=host.cluster)
