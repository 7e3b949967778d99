"""One change of a stack at a time, and changes that are over without knowing it."""

from __future__ import annotations

import getpass
import re
import socket
import time

import pytest

from tests.lab.installation import until
from tests.lab.stacks import Definition, LabStack, page, web

pytestmark = pytest.mark.functional

OPEN = {"SCHEDULED", "PENDING", "RUNNING", "CANCELLING"}
AT_ONCE = {"replicas": 2, "update_config": {"parallelism": 0, "monitor": "1s"}}


def version(name: str, port: int, delay_s: int = 0) -> dict[str, Definition]:
    return {"web": web(name, port, delay_s=delay_s, deploy=AT_ONCE)}


def test_a_second_deploy_is_told_who_holds_the_lock_since_when_or_waits(stack: LabStack, free_port: int) -> None:
    stack.write(version("one", free_port, delay_s=8))
    first = stack.begin("up", "--why", "the big release")
    run = stack.run_under_way()
    locked = stack.do("up", code=4)
    assert "the big release" in locked.err
    assert f"by {getpass.getuser()}@{socket.gethostname()}" in locked.err
    assert run in locked.err
    assert re.search(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", locked.err)
    assert f"stampede unlock -p {stack.name}" in locked.err
    stack.write(version("two", free_port))
    waited = stack.do("up", "--wait", "120").json
    assert waited["revision"] == 2
    stack.end(first)
    assert page(free_port) == "two"
    assert stack.revisions() == [2, 2]


def test_unlock_cancels_the_holder_and_the_next_deploy_goes_through(stack: LabStack, free_port: int) -> None:
    stack.write(version("one", free_port, delay_s=120))
    first = stack.begin("up")
    stack.run_under_way()
    stack.until_revision_runs(1)
    stack.installation.run("unlock", "-p", stack.name, "--yes")
    stack.end(first, code=3)
    stack.up(version("two", free_port))
    assert page(free_port) == "two"
    assert stack.names() == ["web-1", "web-2"]


def test_a_deploy_that_was_declared_dead_and_still_works_touches_nothing(stack: LabStack, free_port: int) -> None:
    stack.up(version("one", free_port))
    stack.write(version("two", free_port, delay_s=10))
    dead = stack.begin("up")
    run = stack.run_under_way()
    stack.until_revision_runs(2)
    crashed = {"state": {"type": "CRASHED", "name": "Crashed", "message": "declared dead by a test"}, "force": True}
    stack.installation.read(f"/flow_runs/{run}/set_state", crashed)
    assert stack.end(dead, code=1).err
    assert stack.up(version("three", free_port))["revision"] == 3
    after = stack.ids()

    until(lambda: has_ended(stack, run), "the code of the dead run has ended")
    assert stack.ids() == after
    assert stack.revisions() == [3, 3]
    assert page(free_port) == "three"
    again = stack.do("up").json
    assert (again["revision"], again["changes"]) == (3, []), "nor has it written what is wanted"


def has_ended(stack: LabStack, run: str) -> bool:
    """Whether no step of a run on a host is open, and none begins: its code may be between two of them."""
    before = steps(stack, run)
    time.sleep(2)
    return set(before.values()).isdisjoint(OPEN) and steps(stack, run) == before


def steps(stack: LabStack, run: str) -> dict[str, str]:
    """The steps of a run on hosts, by id, and their states."""
    found = stack.installation.read("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}})
    return {one["id"]: one["state_type"] for one in found}
