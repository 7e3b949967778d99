"""Answers that come so slowly that they never end. A time limit of the socket does not: each byte begins it anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from urllib3 import BaseHTTPResponse

_LENIENT_S = 60.0
_SLOWEST = 16 << 10  # bytes per second
_LOOK_EVERY_S = 5.0


class Stalls:
    """Ends answers that take longer than a minute and what their length takes at 16 KiB/s.

    Whoever reads one gets an error then, as if the server had hung up.
    """

    def __init__(self) -> None:
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._deadlines: dict[BaseHTTPResponse, float] = {}
        self._watching: threading.Thread | None = None

    @contextmanager
    def ended(self, answer: BaseHTTPResponse) -> Iterator[None]:
        """While the context is open."""
        length = int(answer.headers.get("content-length") or 0)
        self._deadlines[answer] = time.monotonic() + _LENIENT_S + length / _SLOWEST
        if self._watching is None:
            self._begin()
        try:
            yield
        finally:
            del self._deadlines[answer]

    def close(self) -> None:
        """Afterwards nothing is watched any more."""
        self._closed.set()

    def _begin(self) -> None:
        with self._lock:
            if self._watching is None:
                self._watching = threading.Thread(target=self._watch, name="stalls", daemon=True)
                self._watching.start()

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_EVERY_S):
            for answer, deadline in list(self._deadlines.items()):
                if time.monotonic() > deadline:
                    with suppress(OSError, ValueError):  # it has just come to its end
                        answer.shutdown()
