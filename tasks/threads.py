"""Blocking calls out of async tasks."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Most of these threads wait: for a container to become healthy, for connections to drain.
_THREADS = ThreadPoolExecutor(max_workers=96, thread_name_prefix="blocking")


# Starting containers is work for the processors of the host: more of them at once only takes longer.
_STARTING = ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 2), thread_name_prefix="starting")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns, without holding up the event loop, on which cancellation and heartbeats depend.

    A thread cannot be cancelled: keep each call short, or give it a deadline of its own.
    """
    return await _in(_THREADS, functools.partial(call, *args, **kwargs))


async def in_starting_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for work that keeps the host busy: as many calls at once as it has use for, the others wait."""
    return await _in(_STARTING, functools.partial(call, *args, **kwargs))


async def _in(threads: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads, functools.partial(context.run, call))
