"""Load by wrk: kept-alive GETs over a few connections, and what became of them."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BEFORE_AND_AFTER_S = 1.0
LONGEST_S = 600
_REQUESTS = re.compile(r"(\d+) requests in")
_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_NOT_OK = re.compile(r"Non-2xx or 3xx responses: (\d+)")


@dataclass
class Load:
    """Filled in when the load ends. `failed` are requests without a 2xx or 3xx answer, of whatever kind."""

    requests: int = 0
    failed: int = 0
    report: str = ""


@contextmanager
def load(port: int, *, seconds: int | None = None, connections: int = 16) -> Iterator[Load]:
    """Runs wrk beside the block and waits for its end, which must come after the block's.

    Without `seconds`, from a moment before the block to a moment after it.
    """
    lasts = seconds or LONGEST_S
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{lasts}", "--timeout", "3s", f"http://127.0.0.1:{port}/"]
    result = Load()
    pause_s = 0.0 if seconds else BEFORE_AND_AFTER_S
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as wrk:
        try:
            time.sleep(pause_s)
            yield result
            time.sleep(pause_s)
            assert wrk.poll() is None, "the load ended before the change: give it more seconds"
            if seconds is None:
                wrk.send_signal(signal.SIGINT)
            result.report, _ = wrk.communicate(timeout=lasts + 10)
        finally:
            wrk.kill()
    requests, errors, not_ok = (pattern.search(result.report) for pattern in (_REQUESTS, _ERRORS, _NOT_OK))
    result.requests = int(requests[1]) if requests else 0
    result.failed = sum(int(number) for number in errors.groups()) if errors else 0
    result.failed += int(not_ok[1]) if not_ok else 0
