"""New instances that do not become healthy: what served before serves all the while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.lab.stacks import Definition, LabStack, page, web

pytestmark = pytest.mark.functional

NEVER = {"test": ["CMD", "false"], "interval": "1s", "retries": 2, "start_period": "0s"}


@contextmanager
def watched(port: int) -> Iterator[set[str]]:
    """Everything that the port answered while the block ran, errors included."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            try:
                seen.add(page(port))
            except httpx.HTTPError as error:
                seen.add(repr(error))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def broken(port: int, action: str, **more: Any) -> dict[str, Definition]:
    update = {"monitor": "1s", "failure_action": action}
    return {"web": web("two", port, deploy={"replicas": 2, "update_config": update}, **more)}


@pytest.fixture
def app(stack: LabStack, free_port: int) -> tuple[LabStack, int]:
    stack.up({"web": web("one", free_port, deploy={"replicas": 2})})
    return stack, free_port


def test_an_update_that_never_gets_healthy_goes_back_while_the_old_replicas_serve(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = stack.ids()
    stack.write(broken(port, "rollback", healthcheck=NEVER))
    with watched(port) as seen:
        failed = stack.do("up", code=1)
    assert seen == {"one"}
    assert "is not healthy" in failed.err
    assert "back at revision 1" in failed.err
    assert stack.ids() == before, "no leftovers, and the old ones were never touched"
    assert stack.do("history").json[0]["outcome"] == "failed"
    stack.write({"web": web("one", port, deploy={"replicas": 2})})
    assert stack.do("up").json["changed"] == []


def test_an_update_that_crashes_at_start_says_how_it_ended_and_what_it_wrote(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = stack.ids()
    stack.write(broken(port, "rollback", command=["sh", "-c", "echo no database here; exit 3"]))
    with watched(port) as seen:
        failed = stack.do("up", code=1)
    assert seen == {"one"}
    assert "exit code 3" in failed.err
    assert "no database here" in failed.err
    assert stack.ids() == before


def test_after_a_failed_update_scale_starts_from_what_serves(app: tuple[LabStack, int]) -> None:
    stack, port = app
    stack.write(broken(port, "rollback", healthcheck=NEVER))
    stack.do("up", code=1)
    stack.do("scale", "web=3")
    assert len(stack.names("web")) == 3
    assert page(port) == "one"


def test_failure_action_pause_leaves_the_failed_one_to_be_looked_at(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = stack.ids()
    stack.write(broken(port, "pause", healthcheck=NEVER))
    with watched(port) as seen:
        stack.do("up", code=1)
    assert seen == {"one"}
    assert set(before) < set(stack.ids())
    assert sorted(stack.revisions()) == [1, 1, 2]
    stack.up({"web": web("three", port, deploy={"replicas": 2})})
    assert page(port) == "three"
    assert stack.names() == ["web-1", "web-2"]


def test_failure_action_continue_goes_on_and_warns(app: tuple[LabStack, int]) -> None:
    stack, port = app
    update = {"monitor": "1s", "failure_action": "continue"}
    both = {"web": web("one", port, deploy={"replicas": 2, "update_config": update}, healthcheck=NEVER)}
    stack.write(both | {"other": web("other")})
    with watched(port) as seen:
        did = stack.do("up").json
    assert seen == {"one"}
    assert len(did["warnings"]) == 2
    assert stack.names("other") == ["other-1"]


def test_a_first_deploy_that_fails_is_mended_by_the_next(stack: LabStack, free_port: int) -> None:
    stack.write(broken(free_port, "rollback", healthcheck=NEVER))
    failed = stack.do("up", code=1)
    assert "is not healthy" in failed.err
    stack.up({"web": web("two", free_port, deploy={"replicas": 2})})
    assert page(free_port) == "two"
    assert stack.names() == ["web-1", "web-2"]
