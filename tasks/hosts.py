"""The hosts of the cluster, as their workers report."""

from __future__ import annotations

from prefect.client.orchestration import get_client

from stampede.errors import HostUnreachable

POOL = "stampede"


async def schedulable_hosts() -> list[str]:
    """Hosts whose workers are online, by name. Raises: HostUnreachable when there is none."""
    async with get_client() as client:
        workers = await client.read_workers_for_work_pool(POOL)
    hosts = sorted(worker.name for worker in workers if worker.status == "ONLINE")
    if not hosts:
        raise HostUnreachable("no host's worker is online", "stampede server status shows the processes")
    return hosts
