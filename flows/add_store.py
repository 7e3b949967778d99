"""Add a store: every host can reach it, and the repository in it opens with the store's recovery key."""

from __future__ import annotations

from prefect import flow

from stampede.flows.reach_store import reached_by_all_hosts
from stampede.stores import StoreReport, address_of
from stampede.tasks.stores import forgotten_unless_ready, meet_repository, read_store


@flow(name="add-store", flow_run_name="add store {store}", persist_result=True)
async def add_store(store: str) -> StoreReport:
    """Afterwards the store that a client has written down is ready for backups, or is forgotten.

    Raises: StoreRefused, StoreUnavailable, Refused where there is a repository already, BackupError where there is none
    to join, WrongKey.
    """
    async with forgotten_unless_ready(store):
        wanted = await read_store(store)
        hosts, honoured = await reached_by_all_hosts(store)
        met = await meet_repository(store, honoured)
    return StoreReport(
        store=store,
        address=address_of(wanted.bucket, wanted.prefix),
        repository=met.repository,
        origin=met.origin,
        hosts=hosts,
        honoured=honoured,
        volumes=met.volumes,
    )
