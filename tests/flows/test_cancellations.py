"""Verbs that are cancelled during every side effect in turn: something serves then, and running again converges."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any

import pytest

from stampede.errors import Fenced
from stampede.planning.changes import Outcome
from stampede.tasks.fences import check_fence
from tests.flows.lab import Lab
from tests.flows.stack_files import ledger


async def is_cancelled(lab: Lab, verb: Coroutine[Any, Any, Outcome], steps: Collection[int]) -> bool:
    """Whether the verb was cancelled before it ended, if it is cancelled during these of its side effects."""
    lab.gate.calm()
    loop, task = asyncio.get_running_loop(), asyncio.create_task(verb)

    def cancel() -> None:
        loop.call_soon_threadsafe(task.cancel)

    lab.gate.cancel, lab.gate.cancel_at = cancel, steps
    try:
        await task
    except asyncio.CancelledError:
        return True
    finally:
        lab.gate.cancel_at = ()
    return False


def assert_serves(lab: Lab, stack: str, when: str) -> None:
    (running,) = lab.running(stack, "ledger")
    servers = [(server.name, server.state) for server in lab.haproxy.desired(stack).servers]
    assert (running, "serving") in servers, f"{running} does not serve, cancelled {when}: {servers}"


def never_two_writers(lab: Lab, stack: str, what: str) -> None:
    assert len(lab.running(stack, "ledger")) <= 1, f"two writers after: {what}"


async def test_a_stop_first_update_cancelled_at_any_step_serves_and_is_finished_by_the_next(
    lab: Lab, stack: str
) -> None:
    """Back and forth between two versions, cancelled one step later each time."""
    texts, ends = [ledger(1), ledger(2)], []
    for text in texts:
        await lab.deploy(stack, text)
        ends.append(lab.world(stack))
    lab.gate.seen = lambda what: never_two_writers(lab, stack, what)
    step = 1
    while await is_cancelled(lab, lab.deploy(stack, texts[(step + 1) % 2]), {step}):
        when = f"at {lab.gate.passed[step - 1]}"
        assert_serves(lab, stack, when)
        await lab.deploy(stack, texts[(step + 1) % 2])
        assert lab.world(stack) == ends[(step + 1) % 2], when
        step += 1
    assert step > 6


async def test_a_restart_cancelled_at_any_step_and_at_all_later_ones_serves_again(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, ledger())
    before = lab.world(stack)
    step = 1
    while await is_cancelled(lab, lab.restart(stack, "ledger"), range(step, 50)):
        assert_serves(lab, stack, f"at {lab.gate.passed[step - 1]}")
        assert lab.world(stack) == before
        step += 1
    assert step > 4
    assert (await lab.deploy(stack, ledger())).changes == ()


async def test_an_old_instance_that_had_the_name_of_the_new_one_cannot_come_back(lab: Lab, stack: str) -> None:
    """The new one is left to run then."""
    name = f"container_name: {stack}-books"
    await lab.deploy(stack, ledger(1, name))
    step = 1
    while await is_cancelled(lab, lab.deploy(stack, ledger(step % 2 + 1, name)), {step}):
        gone = any(what.startswith("remove") for what in lab.gate.passed)
        if not gone:
            assert_serves(lab, stack, f"at {lab.gate.passed[step - 1]}")
        await lab.deploy(stack, ledger(step % 2 + 1, name))
        assert_serves(lab, stack, "and run again")
        step += 1
    assert step > 4


async def test_a_cancelled_update_that_was_overtaken_touches_nothing_any_more(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, ledger())

    def overtaken(what: str) -> None:
        if what.startswith("stop"):
            check_fence(lab.hosts["h1"].places, stack, 1000)

    lab.gate.seen = overtaken
    stop = 3
    assert await is_cancelled(lab, lab.deploy(stack, ledger(2)), {stop})
    assert lab.gate.passed[stop - 1].startswith("stop")
    assert len(lab.gate.passed) == stop
    with pytest.raises(Fenced):
        await lab.deploy(stack, ledger(2))
