"""A stop-first update that somebody cancels: between the old instance's end and the new one's proof nothing serves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.installation import until
from tests.lab.stacks import Definition, LabStack, inside, page, web

pytestmark = pytest.mark.functional

HOPEFUL = {"test": ["CMD", "false"], "interval": "1s", "start_period": "300s"}


def writer(version: str, port: int, **more: Any) -> dict[str, Definition]:
    """One that owns a volume, and so is replaced stop-first."""
    return {"web": web(version, port, volumes=["data:/data"], **more)}


def test_a_cancelled_stop_first_update_gives_the_old_instance_back(stack: LabStack, free_port: int) -> None:
    volumes: dict[str, Definition] = {"data": {}}
    stack.up(writer("one", free_port), volumes=volumes)
    (old,) = stack.containers()
    inside(old, "sh", "-c", "echo kept >/data/note")
    stack.write(writer("two", free_port, healthcheck=HOPEFUL), volumes=volumes)
    up = stack.begin("up")
    run = stack.run_under_way()
    stack.until_revision_runs(2)
    until(lambda: stack.revisions() == [2], "the old instance has stopped, and the new one is waited for")
    stack.installation.run("cancel", run)
    stack.end(up, code=3)
    assert page(free_port) == "one"
    assert stack.ids() == [old.id]
    assert stack.revisions() == [1]
    newest, first = stack.do("history").json
    assert (newest["outcome"], first["outcome"]) == ("cancelled", "completed")
    stack.up(writer("three", free_port), volumes=volumes)
    (new,) = stack.containers()
    assert page(free_port) == "three"
    assert inside(new, "cat", "/data/note") == "kept"
