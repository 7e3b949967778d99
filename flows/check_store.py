"""Check a store: hosts still reach it, its key still opens the repository, and what its server honours now."""

from __future__ import annotations

from prefect import flow

from stampede.flows.reach_store import reached_by_all_hosts
from stampede.stores import StoreReport, address_of
from stampede.tasks.stores import open_again, read_store


@flow(name="check-store", flow_run_name="check store {store}", persist_result=True)
async def check_store(store: str) -> StoreReport:
    """What all hosts find. Changes nothing but what is known of the server.

    Raises: UnknownName, StoreRefused, StoreUnavailable, BackupError, WrongKey.
    """
    known = await read_store(store)
    hosts, honoured = await reached_by_all_hosts(store)
    met = await open_again(store, honoured)
    return StoreReport(
        store=store,
        address=address_of(known.bucket, known.prefix),
        repository=met.repository,
        origin=met.origin,
        hosts=hosts,
        honoured=honoured,
        volumes=met.volumes,
    )
