"""An object store in memory. It keeps the promises of stampede/backup/store.py, and fails when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from stampede.backup.store import Counts, Found, Lock
from stampede.errors import Damaged, StoreUnavailable

Fault = Callable[[str, str], None]
"""Called with verb and name before a request has any effect; what it raises is the request's end."""


class FakeStore:
    """`clock` is its time. `before` and `after` may raise: a request that fails, or one whose answer is lost."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.locked: dict[str, datetime] = {}
        self.lock: Lock | None = None
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.before: Fault = lambda verb, name: None
        self.after: Fault = lambda verb, name: None
        self._lock = threading.Lock()
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        return self._counts

    def view(self) -> FakeStore:
        """The same objects as another host sees them: with counts and faults of its own."""
        other = FakeStore()
        other.objects, other._lock, other.clock = self.objects, self._lock, self.clock
        other.locked, other.lock = self.locked, self.lock
        return other

    def fail_requests(self, count: int, verb: str = "") -> None:
        """After `count` more requests (of this verb) the store is away, until `heal`."""
        left = [count]

        def fault(asked: str, name: str) -> None:
            if verb in ("", asked):
                left[0] -= 1
                if left[0] < 0:
                    raise StoreUnavailable("the store is away", "wait")

        self.before = fault

    def heal(self) -> None:
        self.before = self.after = lambda verb, name: None

    def pass_time(self, span: timedelta) -> None:
        self.clock += span

    def put(self, name: str, content: bytes | bytearray | memoryview) -> None:
        self._begin("put", name, sent=len(content))
        with self._lock:
            self.objects[name] = (bytes(content), self.clock)
            self._set_lock(name)
        self.after("put", name)

    def put_if_absent(self, name: str, content: bytes) -> bool:
        self._begin("put", name, sent=len(content))
        with self._lock:
            if name not in self.objects:
                self._set_lock(name)
            there = self.objects.setdefault(name, (bytes(content), self.clock))
        self.after("put", name)
        return there[0] == content

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self._begin("get", name)
        if name not in self.objects:
            raise Damaged(f"{name} is not in the fake")
        content = self.objects[name][0]
        if start and start >= len(content):
            raise Damaged(f"{name} in the fake ends before byte {start}")
        content = content[start : None if length is None else start + length]
        self._counts.add(requests=0, received=len(content))
        return content

    def size(self, name: str) -> int | None:
        self._begin("head", name)
        return len(self.objects[name][0]) if name in self.objects else None

    def list(self, prefix: str, after: str = "") -> Iterator[Found]:
        self._begin("list", prefix)
        wanted = [name for name in self.objects if name.startswith(prefix) and name > after]
        for number, name in enumerate(sorted(wanted)):
            if number and number % 1000 == 0:
                self._begin("list", prefix)
            if name in self.objects:
                content, written = self.objects[name]
                yield Found(name, len(content), written)

    def folders(self, prefix: str) -> Iterator[str]:
        self._begin("list", prefix)
        rests = (name.removeprefix(prefix) for name in sorted(self.objects) if name.startswith(prefix))
        yield from dict.fromkeys(rest.split("/")[0] for rest in rests if "/" in rest)

    def delete(self, names: Iterable[str]) -> frozenset[str]:
        kept: set[str] = set()
        for name in names:
            self._begin("delete", name)
            with self._lock:
                if self.locked.get(name, self.clock) > self.clock:
                    kept.add(name)
                else:
                    self.objects.pop(name, None)
            self.after("delete", name)
        return frozenset(kept)

    def extend_locks(self, names: Iterable[str], end: datetime) -> None:
        for name in names:
            self._begin("extend", name)
            with self._lock:
                if name in self.objects:
                    self.locked[name] = max(end, self.locked.get(name, end))
            self.after("extend", name)

    def now(self) -> datetime:
        self._begin("list", "")
        return self.clock

    def _set_lock(self, name: str) -> None:
        if self.lock is not None:
            self.locked[name] = self.lock.end(self.clock)

    def _begin(self, verb: str, name: str, sent: int = 0) -> None:
        self._counts.add(sent=sent)
        self.before(verb, name)
