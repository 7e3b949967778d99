"""What contract tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stampede.places import Places
from tests.lab.pool_hosts import FakeHost, Host, RealHost
from tests.lab.pools import SETTINGS, running_pool


@pytest.fixture(params=["fake", *(pytest.param(kind, marks=pytest.mark.functional) for kind in SETTINGS)])
def host(request: pytest.FixtureRequest, places: Places) -> Iterator[Host]:
    if request.param == "fake":
        yield FakeHost(places.state)
        return
    with running_pool(places, request.param) as pool:
        yield RealHost(pool)
