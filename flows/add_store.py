"""Add a store: every host can reach it, and the repository in it opens with the store's recovery key."""

from __future__ import annotations

from prefect import flow

from stampede.flows.reach_store import met_by_all_hosts
from stampede.stores import StoreReport
from stampede.tasks.stores import forgotten_unless_ready, meet_repository


@flow(name="add-store", flow_run_name="add store {store}", persist_result=True)
async def add_store(store: str) -> StoreReport:
    """Afterwards the store that a client has written down is ready for backups, or is forgotten.

    Raises: StoreRefused, StoreUnavailable, Refused where there is a repository already, BackupError where there is none
    to join, WrongKey.
    """
    async with forgotten_unless_ready(store):
        return await met_by_all_hosts(store, meet_repository)
