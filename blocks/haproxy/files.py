"""What a host keeps of its balancer: one JSON file per stack, and haproxy.cfg rendered from all of them.

The files say what shall be; HAProxy started from them, after a reboot or a crash, serves the same as before.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stampede.balancer.listeners import BalancedStack
from stampede.balancer.render import Surroundings, fingerprint, render
from stampede.errors import DaemonUnavailable
from stampede.places import Places

_USER = _GROUP = "haproxy"  # made by Debian's package
_LOCK_WITHIN_S = 60.0


class BalancerFiles:
    """The files below `places.host`. Whoever changes them holds `locked()`."""

    def __init__(self, places: Places, admin_socket: Path) -> None:
        self.config = places.host / "haproxy.cfg"
        self._stacks = places.host / "balancer"
        self._host = Surroundings(admin_socket=admin_socket, user=_known_user(), group=_known_group())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One change at a time on this host. Raises: DaemonUnavailable when another one takes over a minute."""
        self._stacks.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + _LOCK_WITHIN_S
        with (self._stacks / ".lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        raise DaemonUnavailable("another change of this host's balancer takes too long") from error
                    time.sleep(0.01)
            yield

    def stack(self, stack: str) -> BalancedStack:
        """What is kept of `stack`; empty when it publishes nothing."""
        path = self._path(stack)
        return BalancedStack.model_validate_json(path.read_bytes()) if path.exists() else BalancedStack(stack=stack)

    def stacks(self) -> tuple[BalancedStack, ...]:
        """All stacks of this host that publish something."""
        return tuple(
            BalancedStack.model_validate_json(path.read_bytes()) for path in sorted(self._stacks.glob("*.json"))
        )

    def write(self, changed: BalancedStack) -> None:
        """Keeps `changed` and renders haproxy.cfg anew. A stack without listeners leaves no file behind."""
        if changed.listeners:
            _replace(self._path(changed.stack), changed.model_dump_json(indent=1))
        else:
            self._path(changed.stack).unlink(missing_ok=True)
        self.write_config()

    def write_config(self) -> None:
        """Afterwards haproxy.cfg says what the stacks' files say."""
        self.config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(self.config, render(self.stacks(), self._host))

    def write_candidate(self, changed: BalancedStack) -> Path:
        """Beside haproxy.cfg, what it would be with `changed`; for HAProxy to check."""
        candidate = self.config.with_name("haproxy.cfg.candidate")
        _replace(candidate, render(self._with(changed), self._host))
        return candidate

    def fingerprint(self) -> str:
        """That of a HAProxy which has the listeners of the files."""
        return fingerprint(self.stacks(), self._host)

    def _with(self, changed: BalancedStack) -> tuple[BalancedStack, ...]:
        return (*(one for one in self.stacks() if one.stack != changed.stack), changed)

    def _path(self, stack: str) -> Path:
        return self._stacks / f"{stack}.json"


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _known_user() -> str | None:
    return _USER if any(entry.pw_name == _USER for entry in pwd.getpwall()) and os.geteuid() == 0 else None


def _known_group() -> str | None:
    return _GROUP if any(entry.gr_name == _GROUP for entry in grp.getgrall()) and os.geteuid() == 0 else None
