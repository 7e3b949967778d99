"""Requests over kept-alive connections while something else happens, and how many of them failed."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stampede.errors import StampedeError

LONGEST_S = 600
CONNECTIONS = 4
RUN_IN_S = 1.0


class Load:
    """What wrk counted. `requests` that were answered; `failed`: other answers than 2xx and 3xx, and socket errors."""

    requests = 0
    failed = 0

    def read(self, said: str) -> None:
        """Raises: StampedeError when wrk has counted nothing."""
        total = re.search(r"(\d+) requests in", said)
        if total is None:
            raise StampedeError(f"wrk did not end well: {said.strip()}")
        self.requests = int(total[1])
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        self.failed = sum(map(int, errors.groups() if errors else ())) + (int(refused[1]) if refused else 0)


@contextmanager
def under_load(url: str, inside: Sequence[str] = ()) -> Iterator[Load]:
    """wrk asks `url` while the context is open, and a second before and after. `inside` are words before its own."""
    load = Load()
    words = [*inside, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LONGEST_S}s", "-H", "Accept: text/plain", url]
    wrk = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(RUN_IN_S)
        yield load
        time.sleep(RUN_IN_S)
    finally:
        wrk.send_signal(signal.SIGINT)  # it then prints what it has counted
        said, _ = wrk.communicate(timeout=30)
    load.read(said)
