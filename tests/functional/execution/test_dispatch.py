"""Flows reach hosts: results, errors, crashes, cancellation. On a real server, worker and supervisor."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time

import httpx
import pytest

from stampede.errors import BadInput, Cancelled, StackLocked, StampedeError, UpdateFailed
from stampede.results import read_result
from tests.functional.execution.conftest import HOST, Plane

pytestmark = pytest.mark.functional
RUNNING = frozenset({"RUNNING"})


def test_a_result_comes_back_typed_from_a_host_and_plain_over_http(plane: Plane) -> None:
    assert plane.result("ask-greeting", host=HOST, name="you") == {"text": "hello you", "parts": ["hello", "you"]}


def test_an_error_keeps_class_message_and_hint_from_host_to_caller_and_to_http(plane: Plane) -> None:
    assert plane.result("ask-failure", host=HOST) == "web of shop stayed unhealthy|look at its log"
    with pytest.raises(UpdateFailed) as caught:
        plane.result("fail-typed", stack="shop")
    assert (caught.value.message, caught.value.hint) == ("web of shop stayed unhealthy", "look at its log")


def test_an_error_of_python_becomes_an_error_of_ours_that_names_its_class(plane: Plane) -> None:
    with pytest.raises(StampedeError, match="ValueError: plain"):
        plane.result("fail-plain")


def test_child_runs_are_named_after_the_step_and_tagged_with_host_and_stack(plane: Plane) -> None:
    parent = plane.start("ask-failure", host=HOST)
    plane.wait(parent)
    (child,) = plane.children(parent)
    assert child["name"] == "fail"
    assert set(child["tags"]) == {f"host:{HOST}", "stack:shop"}


def test_a_step_of_the_same_name_twice_is_an_error_not_the_wrong_result(plane: Plane) -> None:
    with pytest.raises(BadInput, match="taken twice"):
        plane.result("same-step-twice", host=HOST)


def test_parameters_that_the_form_does_not_know_are_refused_by_the_server(plane: Plane) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        plane.start("greet", nonsense=1)
    assert caught.value.response.status_code in {409, 422}


def test_a_killed_worker_comes_back_and_resumes_the_parent_in_place_with_its_finished_steps(plane: Plane) -> None:
    parent = plane.start("two-steps", host=HOST, key="killed", seconds=4)
    plane.until_counted("killed-b")
    worker = plane.pid("worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    run = plane.wait(parent)
    assert run["state_type"] == "COMPLETED"
    assert run["run_count"] == 2
    assert read_result(plane.http, run) == [1, 2]
    assert plane.counted("killed-a") == 1, "the finished step is reused"
    assert plane.counted("killed-b") == 2, "the step that was cut off runs again"
    assert plane.counted("killed-b-done") == 1
    crashed = [child["state_type"] for child in plane.children(parent)]
    assert sorted(crashed) == ["COMPLETED", "COMPLETED", "CRASHED"]


def test_cancelling_a_parent_cancels_its_child(plane: Plane) -> None:
    parent = plane.start("two-steps", host=HOST, key="cancelled", seconds=30)
    plane.until_counted("cancelled-b")
    began = time.monotonic()
    plane.cancel(parent)
    run = plane.wait(parent)
    assert run["state_type"] == "CANCELLED"
    assert time.monotonic() - began < 15
    assert plane.children(parent)[-1]["state_type"] == "CANCELLED"
    assert plane.counted("cancelled-b-done") == 0
    with pytest.raises(Cancelled):
        read_result(plane.http, run)


def test_a_second_change_is_told_who_holds_the_lock_and_numbers_rise(plane: Plane) -> None:
    first = plane.start("locked", stack="lock-a", seconds=6, key="lock-a")
    plane.until_counted("lock-a")
    with pytest.raises(StackLocked, match=r"\(test\)") as caught:
        plane.result("locked", stack="lock-a", seconds=0, key="never")
    assert "stampede unlock" in caught.value.hint
    waited = plane.start("locked", stack="lock-a", seconds=0, key="lock-a-second", wait_s=60)
    numbers = [read_result(plane.http, plane.wait(run)) for run in (first, waited)]
    assert numbers == [1, 2]
    assert plane.counted("never") == 0
    assert plane.client.lock("lock-a") is None


def test_a_resumed_run_finds_its_own_lock_and_number_again(plane: Plane) -> None:
    run = plane.start("locked", stack="lock-b", seconds=4, key="lock-b")
    plane.until_counted("lock-b")
    worker = plane.pid("worker")
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    assert read_result(plane.http, plane.wait(run)) == 1
    assert plane.counted("lock-b") == 2


def test_unlock_cancels_the_run_that_holds_the_lock(plane: Plane) -> None:
    run = plane.start("locked", stack="lock-c", seconds=60, key="lock-c")
    plane.until_counted("lock-c")
    lock = plane.client.lock("lock-c")
    assert lock is not None
    assert (lock.run, lock.why) == (run, "test")
    plane.client.unlock(lock)
    assert plane.wait(run)["state_type"] == "CANCELLED"
    assert plane.client.lock("lock-c") is None


def test_a_killed_server_comes_back_and_the_run_under_way_ends_well(plane: Plane) -> None:
    parent = plane.start("two-steps", host=HOST, key="outage", seconds=5)
    plane.until_counted("outage-b")
    server = plane.pid("server")
    assert server is not None
    os.kill(server, signal.SIGKILL)
    run = plane.wait(parent, timeout_s=120)
    assert run["state_type"] == "COMPLETED"
    assert run["run_count"] == 1
    assert (plane.counted("outage-a"), plane.counted("outage-b"), plane.counted("outage-b-done")) == (1, 1, 1)
    assert plane.pid("server") not in {None, server}


def test_four_flows_of_fifty_tasks_at_once_meet_no_503(plane: Plane) -> None:
    answers: list[int] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=plane.http.base_url, auth=plane.http.auth, timeout=60) as http:
            while not over.is_set():
                body = {"name": f"probe-{time.monotonic_ns()}", "value": 1}
                answers.append(http.post("/variables/", json=body).status_code)

    prober = threading.Thread(target=ask)
    prober.start()
    try:
        runs = [plane.start("many-tasks", tasks=50) for _ in range(4)]
        assert [read_result(plane.http, plane.wait(run)) for run in runs] == [50] * 4
    finally:
        over.set()
        prober.join()
    assert len(answers) > 10
    assert set(answers) == {201}


def test_dispatch_from_inside_a_flow_takes_less_than_a_second(plane: Plane) -> None:
    """The target on a quiet machine is 0.3 s; this bound only catches a lost wake-up, where it would be the poll."""
    taken = plane.result("measure-dispatch", host=HOST, times=15)
    print(f"dispatch p50 {statistics.median(taken):.3f} s, max {max(taken):.3f} s")
    assert statistics.median(taken) < 2
