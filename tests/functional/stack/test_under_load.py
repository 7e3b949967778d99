"""The example app under load: a rolling update and a rollback in HTTP mode cost nobody a request."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.functional.balancer.load import load
from tests.lab.stacks import LabStack, page

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "examples/shop/compose.yaml"


@pytest.fixture(scope="module")
def images() -> None:
    """The images of examples/shop."""
    subprocess.run([ROOT / "examples/images/build"], check=True, timeout=300, capture_output=True)


def deploy(stack: LabStack, port: int, version: int) -> None:
    settings = stack.folder / "settings.env"
    settings.write_text(f"SHOP_PORT={port}\nWEB_VERSION={version}\nWEB_REPLICAS=2\n")
    stack.do("up", "-f", str(SHOP), "-p", stack.name, "--env-file", str(settings))


def test_update_and_rollback_under_load_lose_no_request(images: None, stack: LabStack, free_port: int) -> None:
    deploy(stack, free_port, 1)
    before = set(stack.ids("web"))
    with load(free_port) as update:
        deploy(stack, free_port, 2)
    assert "version 2" in page(free_port)
    assert before.isdisjoint(stack.ids("web"))
    with load(free_port) as rollback:
        stack.do("rollback", "-p", stack.name)
    assert "version 1" in page(free_port)
    assert min(update.requests, rollback.requests) > 100
    assert (update.failed, rollback.failed) == (0, 0), f"{update.report}\n{rollback.report}"
