"""One change of a stack at a time, and changes that are over without knowing it."""

from __future__ import annotations

import re

import pytest

from tests.lab.installation import until
from tests.lab.stacks import Definition, LabStack, page, web

pytestmark = pytest.mark.functional

AT_ONCE = {"replicas": 2, "update_config": {"parallelism": 0, "monitor": "1s"}}


def version(name: str, port: int, delay_s: int = 0) -> dict[str, Definition]:
    return {"web": web(name, port, delay_s=delay_s, deploy=AT_ONCE)}


def test_a_second_deploy_is_told_who_holds_the_lock_since_when_or_waits(stack: LabStack, free_port: int) -> None:
    stack.write(version("one", free_port, delay_s=8))
    first = stack.begin("up", "--why", "the big release")
    stack.run_under_way()
    locked = stack.do("up", code=4)
    assert "the big release" in locked.err
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

    until(lambda: not open_steps(stack, run), "the code of the dead run has ended")
    assert stack.ids() == after
    assert stack.revisions() == [3, 3]
    assert page(free_port) == "three"
    again = stack.do("up").json
    assert (again["revision"], again["changes"]) == (3, []), "nor has it written what is wanted"


def open_steps(stack: LabStack, run: str) -> list[str]:
    """Names of the steps of a run on hosts that have not ended."""
    body = {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}
    children = stack.installation.read("/flow_runs/filter", body)
    return [one["name"] for one in children if one["state_type"] in ("RUNNING", "PENDING", "SCHEDULED", "CANCELLING")]
