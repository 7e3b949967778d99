"""What backups ask of an object store, and what is promised. S3 and the tests' fake both keep it.

Names are text with "/" between folders, below whatever bucket and prefix the store was made with.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from stampede.frozen import Frozen


class Found(NamedTuple):
    """An object as the store lists it. `written` is the store's own time."""

    name: str
    size: int
    written: datetime


class Lock(Frozen):
    """Object lock: what a backup needs cannot be deleted for `days` after it was made.

    governance: but by who has a right of its own for that; compliance: by nobody. Objects are locked for half as long
    again, so that those which later backups need as well have their lock extended once in half of that time only.
    """

    mode: Literal["governance", "compliance"]
    days: float = Field(gt=0, le=36500)

    def end(self, now: datetime) -> datetime:
        """Until when an object is locked that is written now."""
        return now + 1.5 * timedelta(days=self.days)

    def is_due(self, end: datetime | None, now: datetime) -> bool:
        """Whether what is locked until then has to be locked for longer before a backup relies on it."""
        return end is None or end < now + timedelta(days=self.days)


class Counts:
    """What was asked of a store: requests as they went over the network, retries included, and bytes of content."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = self.sent = self.received = 0

    def add(self, *, requests: int = 1, sent: int = 0, received: int = 0) -> None:
        with self._lock:
            self.requests += requests
            self.sent += sent
            self.received += received


class ObjectStore(Protocol):
    """Every verb may be called from several threads, and blocks until it is done or its patience has run out.

    All raise StoreUnavailable when the store did not answer for that long, and StoreRefused (WrongCredentials,
    WrongRegion, BucketMissing, ClockSkew) when asking again would not help. An object is there whole or not at all.
    """

    @property
    def counts(self) -> Counts:
        """What was asked of it so far, by this object."""
        ...

    @property
    def lock(self) -> Lock | None:
        """How everything is locked that is put here; None if nothing is."""
        ...

    @property
    def clock(self) -> datetime:
        """The time by which locks are set: without a request, and right within minutes."""
        ...

    def put(self, name: str, content: bytes | bytearray | memoryview) -> None:
        """Afterwards the object has this content, whatever it had before."""
        ...

    def put_if_absent(self, name: str, content: bytes) -> bool:
        """True if this call made the object; False, and nothing has changed, if there is one with other content.

        Of several callers exactly one gets True. One whose answer was lost asks again and still gets it, so no two
        callers may come with the same content (what is sealed never is).
        """
        ...

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """The content from byte `start`, `length` bytes or all that is left; shorter where the object ends.

        Raises: Damaged if there is no such object, or it ends before `start`.
        """
        ...

    def size(self, name: str) -> int | None:
        """In bytes; None if there is no such object."""
        ...

    def list(self, prefix: str, after: str = "") -> Iterator[Found]:
        """Objects whose names begin with `prefix`, in the order of their names, those behind `after`.

        One request per 1000. What was put before the call is there.
        """
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """What stands between `prefix` and the next "/" in the names of objects, each once, in order."""
        ...

    def delete(self, names: Iterable[str]) -> frozenset[str]:
        """Afterwards none of them is there but those returned, which are locked; those that were not are no error."""
        ...

    def extend_locks(self, names: Iterable[str], end: datetime) -> None:
        """Afterwards none of them can be deleted before `end`. One that is not there is no error. A request each."""
        ...

    def now(self) -> datetime:
        """The store's own time, by which `written` is."""
        ...
