"""The README's command, as a user runs it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
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
LAST_RESULT = "1000036000099 = 1000003 × 1000033"


@pytest.fixture
def environment(
    places: Places, stack_name: str, free_ports: Callable[[int], list[int]], docker_client: docker.DockerClient
) -> Iterator[dict[str, str]]:
    """Variables that keep the demo apart from a shop and a control plane that may run here already."""
    shop_port, server_port = free_ports(2)
    ports = {"SHOP_PORT": shop_port, "SERVER_PORT": server_port, "S3_PORT": eight_free_ports()}
    own = {**{name: str(port) for name, port in ports.items()}, "SHOP_NAME": stack_name}
    environment = {**os.environ, **own, "KEEP_IMAGES": "1"}
    yield environment
    run([ROOT / "scripts/demo", "--remove"], env=environment, timeout_s=REMOVE_TIMEOUT_S, check=False)


@pytest.mark.functional
@pytest.mark.slow
@pytest.mark.timeout(DEMO_TIMEOUT_S + 2 * REMOVE_TIMEOUT_S)
def test_demo_loses_neither_requests_nor_data_leaves_the_app_running_and_goes_without_a_trace(
    environment: dict[str, str], docker_client: docker.DockerClient, places: Places
) -> None:
    shown = run([ROOT / "scripts/demo"], env=environment, timeout_s=DEMO_TIMEOUT_S).out
    assert re.search(r"update: 0 of [1-9]\d*, rollback: 0 of [1-9]\d*$", shown, re.MULTILINE), shown

    first, second = (int(kib) for kib in re.findall(r"backup run: .* (\d+) KiB sent, ", shown))
    assert second < first / 20
    destroyed, restored = shown.index("does not answer any more"), shown.index("== Restore")
    assert "there are no managed volumes" in shown[:destroyed]
    assert LAST_RESULT in shown[restored:]
    assert re.search(r"backup drill +proven in ", shown), shown

    url = f"http://127.0.0.1:{environment['SHOP_PORT']}/"
    page = httpx.get(url, headers={"Accept": "text/plain"}).text
    assert "version 1\n" in page
    assert LAST_RESULT in page

    run([ROOT / "scripts/demo", "--remove"], env=environment, timeout_s=REMOVE_TIMEOUT_S)
    label = f"stampede.stack={environment['SHOP_NAME']}"
    assert not docker_client.containers.list(all=True, filters={"label": label})
    assert not docker_client.volumes.list(filters={"label": label})
    assert not places.pool_file.exists()
    assert not (places.state / "demo").exists()
    for gone in (url, f"http://127.0.0.1:{environment['S3_PORT']}/"):
        with pytest.raises(httpx.ConnectError):
            httpx.get(gone)


def eight_free_ports() -> int:
    """The first of eight ports of loopback in a row on which nothing listened a moment ago."""
    while True:
        first = random.SystemRandom().randrange(10000, 30000)
        with contextlib.ExitStack() as listeners, contextlib.suppress(OSError):
            for port in range(first, first + 8):
                listeners.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
