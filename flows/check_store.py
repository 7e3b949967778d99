"""Check a store: hosts still reach it, its key still opens the repository, and what its server honours now."""

from __future__ import annotations

from prefect import flow

from stampede.flows.reach_store import met_by_all_hosts
from stampede.stores import StoreReport
from stampede.tasks.stores import open_again


@flow(name="check-store", flow_run_name="check store {store}", persist_result=True)
async def check_store(store: str) -> StoreReport:
    """What all hosts find. Changes nothing but what is known of the server.

    Raises: UnknownName, StoreRefused, StoreUnavailable, BackupError, WrongKey.
    """
    return await met_by_all_hosts(store, open_again)
