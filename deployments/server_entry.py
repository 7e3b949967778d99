"""Prefect's server on SQLite, each write transaction BEGIN IMMEDIATE: `python -m stampede.deployments.server_entry`.

As shipped, concurrent writers on SQLite run into SQLITE_BUSY_SNAPSHOT, which becomes 503 and back-offs of seconds. A
transaction that takes the write lock at its beginning waits for it instead. Reads open no transaction and stay
concurrent. There is no setting for this; the two names below are public, and a functional test counts the 503s.
"""

from __future__ import annotations

import argparse
import gc
from contextlib import AbstractAsyncContextManager

import uvicorn
from prefect.server.api.server import create_app
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

KEEP_ALIVE_S = 5
GARBAGE_THRESHOLD = 10_000  # objects more than before; Python's default is 700


class ImmediateSqlite(AioSqliteConfiguration):
    """SQLite whose write transactions take the write lock at their beginning."""

    def begin_transaction(  # type: ignore[override]  # the base class says the same of its interface
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AbstractAsyncContextManager[AsyncSessionTransaction]:
        return super().begin_transaction(session, with_for_update=True)


def use_immediate_transactions() -> None:
    """Afterwards the server of this process uses ImmediateSqlite, if its database is SQLite."""
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url and url.startswith("sqlite"):
        set_database_config(ImmediateSqlite(url))


def keep_garbage_collection_short() -> None:
    """Afterwards what has been imported is looked at no more: 400,000 objects that live as long as the server does.

    Going through them again and again took 7 % of the processor time of a server at work.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    words = argparse.ArgumentParser(prog="stampede-server", description="Prefect's server for Stampede")
    words.add_argument("--host", default="127.0.0.1")
    words.add_argument("--port", type=int, default=4200)
    chosen = words.parse_args()
    use_immediate_transactions()
    app = create_app(final=True)
    keep_garbage_collection_short()
    uvicorn.run(app, host=chosen.host, port=chosen.port, timeout_keep_alive=KEEP_ALIVE_S, log_level="warning")


if __name__ == "__main__":
    main()
