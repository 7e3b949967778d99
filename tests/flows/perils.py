"""What can happen to a host while a flow works on it: the fakes of its daemons, with ways to interrupt them.

Every side effect, of Docker as of the balancer, passes one gate. There the worker can be killed, or the effect fail.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from stampede.balancer.listeners import BalancedStack
from stampede.errors import DaemonError, DaemonUnavailable
from tests.fakes.docker import FakeDockerHost
from tests.fakes.haproxy import FakeHAProxy


class Killed(BaseException):
    """The worker was killed: no code of its flow handles this, and nothing has an effect any more."""


class Gate:
    """Through which every side effect goes, in order. `seen` is called after each, `cancel` during each `cancel_at`."""

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self.passed: list[str] = []
        self.seen: Callable[[str], None] = lambda _: None
        self.cancel: Callable[[], None] = lambda: None
        self.calm()

    def calm(self) -> None:
        """From now on nothing happens to the host; `passed` starts anew."""
        self.kill_at = self.refuse_at = 0
        self.cancel_at: Collection[int] = ()
        self.stumbling = False
        self._stumbled: Counter[str] = Counter()
        self._dead = False
        self.passed.clear()

    @contextmanager
    def effect(self, what: str) -> Iterator[None]:
        """One side effect. Raises: Killed, DaemonError or DaemonUnavailable, as the test asked for."""
        with self._turn:
            if self._dead:
                raise Killed(what)
            self.passed.append(what)
            if len(self.passed) == self.kill_at:
                self._dead = True
                raise Killed(what)
            if len(self.passed) == self.refuse_at:
                raise DaemonError(f"refused: {what}")
            self._stumble(what, 1)
            if len(self.passed) in self.cancel_at:
                self.cancel()
            yield
            self.seen(what)
            self._stumble(what, 2)

    def _stumble(self, what: str, time: int) -> None:
        """When stumbling, an effect fails the first time before it has happened, and the second time after."""
        if self.stumbling and self._stumbled[what] < time:
            self._stumbled[what] += 1
            raise DaemonUnavailable(f"stumbled: {what}")


class PerilousDocker(FakeDockerHost):
    """The fake daemon, behind a gate."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    @contextmanager
    def effect(self, what: str) -> Iterator[None]:
        with self.gate.effect(what), super().effect(what):
            yield


class _Everyone(set[str]):
    """Every address."""

    def __contains__(self, _: object) -> bool:
        return True


class PerilousHAProxy(FakeHAProxy):
    """The fake balancer, behind a gate. Every server accepts connections."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.answering = _Everyone()

    def _write(self, changed: BalancedStack) -> None:
        before = self.desired(changed.stack)
        if changed == before:
            return
        # Named after what changes, not after everything that is so: two slots that take turns are told apart by it.
        moved = [f"{server.name} {server.state}" for server in changed.servers if server not in before.servers]
        gone = [f"{server.name} gone" for server in before.servers if not changed.server(server.service, server.name)]
        with self.gate.effect(f"balance {len(changed.listeners)} {', '.join(moved + gone)}"):
            super()._write(changed)
