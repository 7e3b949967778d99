"""Jobs of backups in a process of their own: their progress is on the run's page, a cancelled run ends the process."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.tasks import exponential_backoff

from stampede.blocks.backups import Answer, Job, run_job
from stampede.tasks.retry import NO_RECORD, Retry, is_transient
from stampede.tasks.threads import until_cancelled

T = TypeVar("T")
_TOLD_EVERY_S = 2.0
_NOT_IN_KEYS = re.compile("[^a-z0-9]+")

RETRY_STORE: Retry = {
    **NO_RECORD,
    "retries": 2,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),  # 5, 10 s
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": is_transient,
}
"""For tasks that ask an object store, each request of which has been tried for more than a minute already."""


class Shown:
    """How far a job is, told by its threads and shown now and then."""

    def __init__(self, key: str, about: str) -> None:
        self._key, self._about = key, about
        self._lock, self._done, self._of = threading.Lock(), 0, 0
        self._artifact: Any = None
        self._shown = -1.0

    def tell(self, done: int, of: int) -> None:
        with self._lock:
            self._done, self._of = done, of

    async def show(self, *, ended: bool = False) -> None:
        """Afterwards the run's page shows it. A server that is away is no reason to stop."""
        with self._lock:
            share = 100.0 if ended else 100.0 * self._done / self._of if self._of else 0.0
        with suppress(httpx.HTTPError):
            if self._artifact is None:
                self._artifact = await acreate_progress_artifact(share, key=self._key, description=self._about)
            elif share != self._shown:
                await aupdate_progress_artifact(self._artifact, share)
            self._shown = share


async def run_shown(job: Job, about: str) -> Answer:
    """The answer to the job. Raises: what `run_job` raises; a cancellation once the process has ended."""
    return await shown_while(about, lambda tell, cancelled: run_job(job, tell, cancelled))


async def shown_while(about: str, work: Callable[[Callable[[int, int], None], threading.Event], T]) -> T:
    """What `work` returns, in a thread. It is given what to tell of bytes done and to do, and when to end early."""
    shown = Shown(_NOT_IN_KEYS.sub("-", about.lower()).strip("-"), about)
    working = asyncio.ensure_future(until_cancelled(lambda cancelled: work(shown.tell, cancelled)))
    try:
        done, _ = await asyncio.wait([working], timeout=_TOLD_EVERY_S)
        while not done:
            await shown.show()
            done, _ = await asyncio.wait([working], timeout=_TOLD_EVERY_S)
    except asyncio.CancelledError:
        working.cancel()
        await asyncio.wait([working])
        raise
    answer = working.result()
    await shown.show(ended=True)
    return answer
