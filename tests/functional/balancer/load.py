"""Load by wrk: kept-alive GETs over a few connections, and what became of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
def load(port: int, *, seconds: int, connections: int = 16) -> Iterator[Load]:
    """Runs wrk beside the block and waits for its end, which must come after the block's."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "3s", f"http://127.0.0.1:{port}/"]
    result = Load()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as wrk:
        try:
            yield result
            assert wrk.poll() is None, "the load ended before the change: give it more seconds"
            result.report, _ = wrk.communicate(timeout=seconds + 10)
        finally:
            wrk.kill()
    requests, errors, not_ok = (pattern.search(result.report) for pattern in (_REQUESTS, _ERRORS, _NOT_OK))
    result.requests = int(requests[1]) if requests else 0
    result.failed = sum(int(number) for number in errors.groups()) if errors else 0
    result.failed += int(not_ok[1]) if not_ok else 0
