"""A host of a test's own whose PID 1 is systemd: Debian's, in namespaces of its own. Needs root."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from tests.lab.debian_host import DebianHost
from tests.lab.host import UP_WITHIN_S

BOOTED = ("running", "degraded")


@dataclass
class SystemdHost(DebianHost):
    """A host whose disk is below `disk`. `boot`, `shut_down` and `cut_power` may be called as often as one likes.

    As scripts/install leaves a machine: Debian's own haproxy does not start. And what would tune the machine's one
    kernel does not run.
    """

    suite: ClassVar[str] = "bookworm"
    packages: ClassVar[tuple[str, ...]] = (
        *("systemd", "systemd-sysv", "dbus", "docker.io", "haproxy", "iptables", "iproute2", "procps"),
        *("ca-certificates", "tini", "curl", "python3", "libreadline8"),
    )
    prepared: ClassVar[tuple[str, ...]] = (
        'chroot "$1" systemctl disable haproxy docker.service',
        'chroot "$1" systemctl mask systemd-sysctl.service proc-sys-fs-binfmt_misc.automount',
    )
    pid_1: ClassVar[str] = "exec /lib/systemd/systemd"

    def boot(self) -> None:
        """Afterwards systemd has started everything that is to start at boot."""
        self._power_on()
        deadline = time.monotonic() + UP_WITHIN_S * 4
        while (state := self.state()) not in BOOTED:
            assert time.monotonic() < deadline, f"systemd is still {state or 'away'}: {self.log()}"
            self._must_be_on()
            time.sleep(0.2)

    def shut_down(self) -> None:
        """Afterwards it is off, after systemd has stopped everything in order."""
        assert self._launched is not None
        self.systemctl("poweroff", "--no-block")
        self._launched.wait(UP_WITHIN_S * 4)
        self.cut_power()

    def systemctl(self, *words: str, check: bool = True) -> str:
        """What systemctl prints."""
        return self.run(["systemctl", *words], {}, check=check).out.strip()

    def state(self) -> str:
        """Of the whole system: `running` when every unit is well, `degraded` when one has failed."""
        return self.systemctl("is-system-running", check=False)

    def log(self, *words: str) -> str:
        """The end of the journal."""
        return self.run(["journalctl", "--no-pager", "--lines=60", *words], {}, check=False).out
