"""The README's command, as a user runs it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import httpx
import pytest

from stampede.places import Places
from stampede.programs import run

ROOT = Path(__file__).parents[2]
DEMO_TIMEOUT_S = 900
REMOVE_TIMEOUT_S = 180


@pytest.fixture
def environment(
    places: Places, stack_name: str, free_ports: Callable[[int], list[int]], docker_client: docker.DockerClient
) -> Iterator[dict[str, str]]:
    """Variables that keep the demo apart from a shop and a control plane that may run here already."""
    shop_port, server_port = free_ports(2)
    own = {"SHOP_PORT": str(shop_port), "SERVER_PORT": str(server_port), "SHOP_NAME": stack_name}
    environment = {**os.environ, **own, "KEEP_IMAGES": "1"}
    yield environment
    run([ROOT / "scripts/demo", "--remove"], env=environment, timeout_s=REMOVE_TIMEOUT_S, check=False)


@pytest.mark.functional
@pytest.mark.slow
@pytest.mark.timeout(DEMO_TIMEOUT_S + 2 * REMOVE_TIMEOUT_S)
def test_demo_loses_no_request_leaves_the_app_running_and_goes_without_a_trace(
    environment: dict[str, str], docker_client: docker.DockerClient
) -> None:
    shown = run([ROOT / "scripts/demo"], env=environment, timeout_s=DEMO_TIMEOUT_S).out
    assert re.search(r"update: 0 of [1-9]\d*, rollback: 0 of [1-9]\d*$", shown, re.MULTILINE), shown

    url = f"http://127.0.0.1:{environment['SHOP_PORT']}/"
    assert "version 1\n" in httpx.get(url, headers={"Accept": "text/plain"}).text

    run([ROOT / "scripts/demo", "--remove"], env=environment, timeout_s=REMOVE_TIMEOUT_S)
    assert not docker_client.containers.list(filters={"label": f"stampede.stack={environment['SHOP_NAME']}"})
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
