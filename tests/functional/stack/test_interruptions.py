"""Processes of ours that are killed in the middle of a change, and changes that somebody stops."""

from __future__ import annotations

import signal

import pytest

from tests.lab.installation import until
from tests.lab.stacks import LabStack, page, web

pytestmark = pytest.mark.functional

SLOW_S = 4


@pytest.fixture
def app(stack: LabStack, free_port: int) -> tuple[LabStack, int]:
    """Two replicas serve, and the file asks for others, which take some seconds to become healthy."""
    deploy = {"replicas": 2, "update_config": {"parallelism": 0, "monitor": "1s"}}
    stack.up({"web": web("one", free_port, deploy=deploy)})
    stack.write({"web": web("two", free_port, delay_s=SLOW_S, deploy=deploy)})
    return stack, free_port


def assert_only_two_runs(stack: LabStack, port: int) -> None:
    assert stack.names() == ["web-1", "web-2"]
    assert stack.revisions() == [2, 2]
    assert page(port) == "two"


def test_a_worker_killed_in_the_middle_comes_back_and_the_run_ends_well(app: tuple[LabStack, int]) -> None:
    stack, port = app
    up = stack.begin("up")
    stack.until_revision_runs(2)
    stack.installation.kill("worker")
    did = stack.end(up).json
    run = stack.installation.wait_for_run(did["run"]["id"])
    assert (run["state_type"], run["run_count"]) == ("COMPLETED", 2)
    assert_only_two_runs(stack, port)


def test_a_server_killed_in_the_middle_comes_back_and_the_run_ends_well(app: tuple[LabStack, int]) -> None:
    stack, port = app
    up = stack.begin("up")
    stack.until_revision_runs(2)
    stack.installation.kill("server")
    stack.end(up)
    assert_only_two_runs(stack, port)


def test_everything_killed_at_once_then_started_and_deployed_again(app: tuple[LabStack, int]) -> None:
    stack, port = app
    up = stack.begin("up")
    stack.until_revision_runs(2)
    for name in ("supervisor", "worker", "server", "haproxy"):
        stack.installation.kill(name)
    up.kill()
    up.communicate()
    stack.installation.start()
    stack.do("up", "--wait", "100")
    until(lambda: stack.installation.lock_of(stack.name) is None, "the first run has ended")
    assert_only_two_runs(stack, port)


def test_a_cancelled_deploy_stops_and_leaves_what_serves_alone(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = set(stack.ids())
    up = stack.begin("up")
    run = stack.run_under_way()
    stack.until_revision_runs(2)
    stack.installation.run("cancel", run)
    cancelled = stack.end(up, code=3)
    assert "cancel" in cancelled.err
    assert before < set(stack.ids())
    assert page(port) == "one"
    assert stack.installation.lock_of(stack.name) is None
    stack.do("up")
    assert_only_two_runs(stack, port)


def test_ctrl_c_detaches_says_how_to_return_and_the_run_goes_on(app: tuple[LabStack, int]) -> None:
    stack, port = app
    up = stack.begin("up")
    run = stack.run_under_way()
    stack.until_revision_runs(2)
    up.send_signal(signal.SIGINT)
    detached = stack.end(up, code=130)
    assert f"stampede follow {run}" in detached.err
    assert f"stampede cancel {run}" in detached.err
    assert detached.out == ""
    did = stack.do("follow", run).json
    assert did["revision"] == 2
    assert_only_two_runs(stack, port)


def test_a_detached_deploy_is_followed_later(app: tuple[LabStack, int]) -> None:
    stack, port = app
    run = stack.do("up", "--detach").json["run"]["id"]
    assert stack.do("follow", run).json["revision"] == 2
    assert_only_two_runs(stack, port)
