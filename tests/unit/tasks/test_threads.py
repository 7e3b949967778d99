"""What a cancellation does to calls that run in threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stampede.tasks import threads
from stampede.tasks.threads import in_thread, left_when_cancelled, to_the_end, until_cancelled


class Call:
    """A call that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(10)
        self.ended.set()
        return "done"


async def begun(call: Call) -> None:
    assert await asyncio.to_thread(call.begun.wait, 10)


async def test_a_cancellation_is_raised_once_the_call_under_way_has_ended() -> None:
    call = Call()
    task = asyncio.create_task(in_thread(call))
    await begun(call)
    for _ in range(3):  # somebody is impatient
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    call.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.ended.is_set()


async def test_a_cancellation_tells_more_than_the_error_of_the_call_under_way() -> None:
    call = Call()

    def fails() -> None:
        call()
        raise OSError("the daemon went away")

    task = asyncio.create_task(in_thread(fails))
    await begun(call)
    task.cancel()
    call.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_time_limit_is_a_cancellation_and_still_a_time_limit() -> None:
    call = Call()
    asyncio.get_running_loop().call_later(0.05, call.may_end.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await in_thread(call)
    assert call.ended.is_set()


async def test_a_call_that_waits_for_a_thread_is_not_made_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(max_workers=1) as only_one:
        monkeypatch.setattr(threads, "_THREADS", only_one)
        first, second = Call(), Call()
        second.may_end.set()
        tasks = [asyncio.create_task(in_thread(call)) for call in (first, second)]
        await begun(first)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        first.may_end.set()
        assert await tasks[0] == "done"
    assert not second.begun.is_set()


async def test_a_long_wait_is_told_to_end_and_has_ended_when_the_cancellation_is_raised() -> None:
    begins, ended = threading.Event(), threading.Event()

    def waits(cancelled: threading.Event) -> None:
        begins.set()
        assert cancelled.wait(10)
        ended.set()

    task = asyncio.create_task(until_cancelled(waits))
    assert await asyncio.to_thread(begins.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_nobody_waits_for_one_that_changes_nothing() -> None:
    call, told = Call(), threading.Event()

    def looks(cancelled: threading.Event) -> None:
        call()
        assert cancelled.wait(10)
        told.set()

    task = asyncio.create_task(left_when_cancelled(looks))
    await begun(call)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not call.ended.is_set()
    call.may_end.set()
    assert await asyncio.to_thread(told.wait, 10)


async def test_what_is_done_to_the_end_may_have_several_steps_and_outlasts_every_cancellation() -> None:
    done: list[int] = []

    async def steps() -> None:
        for number in range(5):
            await asyncio.sleep(0.01)
            done.append(number)

    task = asyncio.create_task(to_the_end(steps()))
    for _ in range(3):
        await asyncio.sleep(0.005)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [0, 1, 2, 3, 4]
