"""Jobs that go on beside flow runs, and come back when they fail."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

LONGEST_PAUSE_S = 60.0
SOUND_AFTER_S = 60.0

Log = logging.Logger | logging.LoggerAdapter[Any]


async def keep_running(job: Callable[[], Awaitable[None]], log: Log) -> None:
    """Run `job` until it returns. When it raises, log why and start it again: after 1 s, doubling up to 60 s.

    A job that had run for a minute before it failed starts again after 1 s.
    """
    pause_s = 1.0
    while True:
        began = time.monotonic()
        try:
            await job()
        except Exception:
            # The job's own errors are its own; one of them must not end the worker.
            log.exception("background job %s failed", getattr(job, "__qualname__", job))
        else:
            return
        if time.monotonic() - began > SOUND_AFTER_S:
            pause_s = 1.0
        await asyncio.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
