"""Blocking calls out of async tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns, without holding up the event loop, on which cancellation and heartbeats depend.

    A thread cannot be cancelled: keep each call short, or give it a deadline of its own.
    """
    return await asyncio.to_thread(call, *args, **kwargs)
