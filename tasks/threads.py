"""Blocking calls out of async tasks."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Most of these threads wait: for a container to become healthy, for connections to drain.
_THREADS = ThreadPoolExecutor(max_workers=96, thread_name_prefix="blocking")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns, without holding up the event loop, on which cancellation and heartbeats depend.

    A thread cannot be cancelled: keep each call short, or give it a deadline of its own.
    """
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(
        _THREADS, functools.partial(context.run, functools.partial(call, *args, **kwargs))
    )
