"""Blocking calls out of async tasks, and what a cancellation does to them.

A thread cannot be cancelled. If a run that is cancelled left its calls alone, they would land after the lock of the
stack was given back. So the cancellation waits for what is under way, and long waits are told to end.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Most of these threads wait: for a container to become healthy, for connections to drain.
_THREADS = ThreadPoolExecutor(max_workers=96, thread_name_prefix="blocking")


# Starting containers is work for the processors of the host: more of them at once only takes longer.
_STARTING = ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 2), thread_name_prefix="starting")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns, without holding up the event loop, on which cancellation and heartbeats depend.

    A cancellation is raised once the call has ended; one that has not begun is not made. So keep each call short.
    """
    return await _in(_THREADS, functools.partial(call, *args, **kwargs))


async def in_starting_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for work that keeps the host busy: as many calls at once as it has use for, the others wait."""
    return await _in(_STARTING, functools.partial(call, *args, **kwargs))


async def until_cancelled(call: Callable[[threading.Event], T]) -> T:
    """The same for a call that takes long: when the event that it is given is set, it has to end at once."""
    cancelled = threading.Event()
    return await _in(_THREADS, functools.partial(call, cancelled), cancelled)


async def left_when_cancelled(call: Callable[[threading.Event], T]) -> T:
    """The same for one that changes nothing that serves and cannot always end at once: nobody waits for its end."""
    cancelled = threading.Event()
    try:
        return await asyncio.wrap_future(_THREADS.submit(contextvars.copy_context().run, call, cancelled))
    finally:
        cancelled.set()


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. Cancellations, however many, do not reach it, and are raised when it has ended."""
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _end_of(running)
        raise


async def _in(threads: ThreadPoolExecutor, call: Callable[[], T], cancelled: threading.Event | None = None) -> T:
    job = threads.submit(contextvars.copy_context().run, call)
    running = asyncio.wrap_future(job)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not job.cancel():
            if cancelled is not None:
                cancelled.set()
            await _end_of(running)
        raise


async def _end_of(running: asyncio.Future[Any]) -> None:
    """Returns when it has ended, in whichever way: the cancellation that is under way tells more than its error."""
    while not running.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([running])
