"""Flows of these tests run in the test's own process, against a real Prefect server, on fake hosts."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.tasks import Task

from stampede.planning import slots
from stampede.tasks import balancer, containers, files, health, images, networks, reading, stack_state, volumes
from tests.flows.backup_site import site as site
from tests.flows.inline_hosts import hosts_inline
from tests.flows.lab import Lab
from tests.flows.server import Server, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all flow tests; stacks keep them apart."""
    with running_server(tmp_path_factory.mktemp("prefect")) as started:
        asyncio.run(started.register())
        yield started


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory, where secrets may lie."""
    folder = Path(tempfile.mkdtemp(prefix="stampede-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing settles, nothing is written on the console, and stacks get no deployments (tested elsewhere)."""

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(slots, "CREATE_SETTLE_S", 0.0)
    monkeypatch.setattr(stack_state, "ensure_stack_deployments", nothing)
    monkeypatch.setattr(stack_state, "remove_stack_deployments", nothing)
    console = logging.getLogger("prefect")
    before = console.level
    console.setLevel(logging.ERROR)
    yield
    console.setLevel(before)


@pytest.fixture
def lab(server: Server, memory: Path, quick: None) -> Iterator[Lab]:
    """A cluster of one host, `h1`."""
    made = Lab(memory)
    with server.as_api(), hosts_inline(made.hosts):
        yield made


@pytest.fixture
def stack() -> str:
    """The name of a stack that no other test has."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries happen at once."""
    for module in (balancer, containers, files, health, images, networks, reading, volumes):
        for task in [one for one in vars(module).values() if isinstance(one, Task)]:
            monkeypatch.setattr(task, "retry_delay_seconds", [0.0] * 5)
