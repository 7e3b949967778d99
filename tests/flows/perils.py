"""What can happen to a host while a flow works on it: the fakes of its daemons, with ways to interrupt them.

Every side effect, of Docker as of the balancer, passes one gate. There the worker can be killed, or the effect fail.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stampede.balancer.listeners import BalancedStack
from stampede.errors import DaemonError, DaemonUnavailable, InUse
from stampede.volumes.models import FoundManagedVolume, Snapshot, WantedVolume
from tests.fakes.docker import FakeContainer, FakeDockerHost
from tests.fakes.haproxy import FakeHAProxy
from tests.fakes.volumes import FakeVolumePool


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


class PerilousPool(FakeVolumePool):
    """The fake pool, behind the gate. A volume is in use while an instance of `docker` that mounts it runs."""

    def __init__(self, gate: Gate, docker: FakeDockerHost, root: Path, host: str) -> None:
        super().__init__(root, host)
        self.gate, self._docker = gate, docker

    def ensure_volume(self, wanted: WantedVolume) -> FoundManagedVolume:
        if wanted.name in self.mounted:
            return super().ensure_volume(wanted)
        with self.gate.effect(f"make volume {wanted.name}"):
            return super().ensure_volume(wanted)

    def snapshot(self, volumes: Sequence[str], **how: Any) -> tuple[Snapshot, ...]:
        with self.gate.effect(f"snapshot {', '.join(volumes)}"):
            return super().snapshot(volumes, **how)

    def remove_snapshot(self, volume: str, snapshot: str) -> bool:
        with self.gate.effect(f"remove snapshot of {volume}"):
            return super().remove_snapshot(volume, snapshot)

    def clone(self, volume: str, snapshot: str, new: WantedVolume) -> FoundManagedVolume:
        with self.gate.effect(f"clone {volume} to {new.name}"):
            return super().clone(volume, snapshot, new)

    def restore(self, volume: str, snapshot: str, *, safety: str = "") -> Snapshot:
        with self.gate.effect(f"put {volume} back"):
            return super().restore(volume, snapshot, safety=safety)

    def resize(self, volume: str, size_bytes: int) -> FoundManagedVolume:
        with self.gate.effect(f"resize {volume}"):
            self._refuse_busy(volume)  # as where the kernel grows only what is not in use
            return super().resize(volume, size_bytes)

    def remove_volume(self, volume: str) -> bool:
        with self.gate.effect(f"remove volume {volume}"):
            return super().remove_volume(volume)

    def _refuse_busy(self, volume: str) -> None:
        users = [
            c.found.name for c in self._docker.by_name.values() if c.found.state == "running" and _binds(c, volume)
        ]
        if users:
            raise InUse(f"{volume} is in use: {', '.join(users)}")


def _binds(container: FakeContainer, volume: str) -> bool:
    return any(mount.get("Source") == volume for mount in container.body["HostConfig"].get("Mounts") or ())


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
