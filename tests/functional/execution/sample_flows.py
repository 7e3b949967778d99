"""Flows that the workers of these tests run. Executions are counted in files under COUNTS."""

import asyncio
import os
from pathlib import Path

from prefect import flow, task

from stampede.errors import UpdateFailed
from stampede.frozen import Frozen
from stampede.tasks.locks import stack_lock
from stampede.tasks.on_host import on_host, on_hosts


class Greeting(Frozen):
    text: str
    parts: tuple[str, ...] = ()


def count(name: str) -> int:
    path = Path(os.environ["COUNTS"]) / name
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(path.read_text().splitlines())


@flow(name="greet")
async def greet(name: str) -> Greeting:
    return Greeting(text=f"hello {name}", parts=("hello", name))


@flow(name="fail-typed")
async def fail_typed(stack: str) -> None:
    raise UpdateFailed(f"web of {stack} stayed unhealthy", "look at its log")


@flow(name="fail-plain")
async def fail_plain() -> None:
    raise ValueError("plain")


@task
async def pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


@flow(name="slow")
async def slow(key: str, seconds: float) -> int:
    times = count(key)
    await pause(seconds)
    count(f"{key}-done")
    return times


@flow(name="ask-greeting")
async def ask_greeting(host: str, name: str) -> Greeting:
    got = await on_host(host, greet, step="greet", name=name)
    assert isinstance(got, Greeting)
    return got


@flow(name="ask-failure")
async def ask_failure(host: str) -> str:
    try:
        await on_host(host, fail_typed, step="fail", stack="shop")
    except UpdateFailed as error:
        return f"{error.message}|{error.hint}"
    return "nothing was raised"


@flow(name="two-steps")
async def two_steps(host: str, key: str, seconds: float) -> list[int]:
    first = await on_host(host, slow, step="first", key=f"{key}-a", seconds=0)
    second = await on_host(host, slow, step="second", key=f"{key}-b", seconds=seconds)
    return [first, second]


@flow(name="side-by-side")
async def side_by_side(host: str, key: str) -> dict[str, int]:
    return await on_hosts({host: {"key": key, "seconds": 0.1}}, slow, step="both")


@flow(name="same-step-twice")
async def same_step_twice(host: str) -> None:
    await on_host(host, greet, step="greet", name="a")
    await on_host(host, greet, step="greet", name="b")


@flow(name="locked")
async def locked(stack: str, seconds: float = 0, key: str = "locked", wait_s: float = 0) -> int:
    async with stack_lock(stack, who="ann@desk", why="test", wait_s=wait_s) as lock:
        count(key)
        await asyncio.sleep(seconds)
        return lock.fence


@task
async def number(i: int) -> int:
    return i


@flow(name="many-tasks")
async def many_tasks(tasks: int) -> int:
    return len(await asyncio.gather(*(number(i) for i in range(tasks))))


@flow(name="measure-dispatch")
async def measure_dispatch(host: str, times: int) -> list[float]:
    loop = asyncio.get_running_loop()
    taken = []
    for i in range(times):
        began = loop.time()
        await on_host(host, greet, step=f"greet {i}", name="x")
        taken.append(loop.time() - began)
    return taken


FLOWS = {
    one.name: one
    for one in (
        greet, fail_typed, fail_plain, slow, ask_greeting, ask_failure, two_steps, side_by_side, same_step_twice,
        locked, many_tasks, measure_dispatch,
    )
}  # fmt: skip
VERBS = tuple(FLOWS.values())
BACKGROUND = ()
