"""On a host: what the server of a store honours, as seen from there."""

from __future__ import annotations

from prefect import flow

from stampede.backup.honoured import Honoured
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.on_host import on_hosts
from stampede.tasks.stores import probe_store


@flow(name="reach-store", persist_result=True)
async def reach_store(store: str) -> Honoured:
    """Raises: StoreRefused, StoreUnavailable."""
    return await probe_store(store)


async def reached_by_all_hosts(store: str) -> tuple[tuple[str, ...], Honoured]:
    """The hosts, and what every one of them saw honoured. Raises: what the first raises that cannot use the store."""
    hosts = await schedulable_hosts()
    seen = await on_hosts({host: {"store": store} for host in hosts}, reach_store, step=f"reach store {store}")
    every = {name: all(getattr(one, name) for one in seen.values()) for name in Honoured.model_fields}
    return tuple(hosts), Honoured.model_validate(every)
