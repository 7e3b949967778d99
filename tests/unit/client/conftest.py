"""A fake of Prefect's API on a real socket, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stampede.client import Client
from tests.fakes.prefect_api import AUTH, FakePrefect, serve


@pytest.fixture
def prefect() -> Iterator[FakePrefect]:
    """A server that knows every flow and lets each change nothing; tests say what theirs shall do."""
    with serve(FakePrefect()) as fake:
        yield fake


@pytest.fixture
def client(prefect: FakePrefect) -> Iterator[Client]:
    with Client(prefect.url, AUTH, requested_by="ann@desk") as open_client:
        yield open_client
