"""On a host: what the server of a store honours, as seen from there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prefect import flow

from stampede.backup.honoured import Honoured
from stampede.stores import StoreReport, address_of
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.on_host import on_hosts
from stampede.tasks.stores import Met, probe_store, read_store


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


async def met_by_all_hosts(store: str, meet: Callable[[str, Honoured], Awaitable[Met]]) -> StoreReport:
    """The repository that `meet` makes or opens, once all hosts have reached the store. Raises: what either does."""
    known = await read_store(store)
    hosts, honoured = await reached_by_all_hosts(store)
    met = await meet(store, honoured)
    return StoreReport(
        store=store,
        address=address_of(known.bucket, known.prefix),
        repository=met.repository,
        origin=met.origin,
        hosts=hosts,
        honoured=honoured,
        volumes=met.volumes,
    )
