"""The verbs of the balancer of a host, and what each promises. HAProxy keeps them, and so does the fake."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from stampede.balancer.listeners import BalancedStack, Listener
from stampede.balancer.runtime import FoundServer, Statistics
from stampede.balancer.taken import TakenPort


class Balancer(Protocol):
    """Every verb may be called again at any time: what is so already is left alone. Verbs block; each has a deadline.

    A service without listeners has nothing to balance: its verbs do nothing and return False.
    All raise DaemonUnavailable (Transient) when HAProxy does not answer; what is written to files by then holds.
    """

    def ensure_running(self, limit_s: float = 20.0) -> bool:
        """HAProxy runs, and the host's supervisor keeps it so; True if it had to be started.

        Raises: DaemonUnavailable when it does not answer within `limit_s`.
        """
        ...

    def is_running(self) -> bool:
        """Whether HAProxy answers; in the moment of a reload it is waited for."""
        ...

    def configure(self, stack: str, listeners: Iterable[Listener]) -> bool:
        """Exactly these ports of `stack` are published; the servers of services that still have one stay.

        True if this changed something; HAProxy is reloaded only for a change of listeners. Publishing nothing needs no
        HAProxy that runs. Raises: Foreign when another
        stack publishes the port, PortTaken when another program listens there, DaemonError (with the line) when
        HAProxy refuses the configuration; in all three the old one stays in force.
        """
        ...

    def add_server(self, stack: str, service: str, name: str, address: str) -> bool:
        """The instance `name` is known to every listener of its service and being checked; no traffic yet."""
        ...

    def wait_server_up(
        self, stack: str, service: str, name: str, limit_s: float, cancelled: threading.Event | None = None
    ) -> bool:
        """Its checks have passed and it gets traffic.

        Raises: DaemonError after `limit_s`, UnknownName if not added, Cancelled soon after `cancelled` is set.
        """
        ...

    def mark_health(self, stack: str, service: str, name: str, *, healthy: bool) -> bool:
        """Its own health check says so: an unhealthy one gets no new traffic while another server is up."""
        ...

    def drain_server(
        self, stack: str, service: str, name: str, limit_s: float, cancelled: threading.Event | None = None
    ) -> int:
        """It gets no new connections and has none left. Returns how many were cut when `limit_s` had passed.

        Raises: Cancelled soon after `cancelled` is set; then it gets no new connections, and keeps those it has.
        """
        ...

    def remove_server(self, stack: str, service: str, name: str) -> bool:
        """No listener knows it; connections it still had are cut."""
        ...

    def desired(self, stack: str) -> BalancedStack:
        """What the files of this host say of `stack`, whether HAProxy runs or not."""
        ...

    def servers(self, stack: str) -> tuple[FoundServer, ...]:
        """The servers of `stack` as HAProxy has them, with those it lacks as `missing`."""
        ...

    def statistics(self) -> Statistics:
        """Counters of HAProxy and of all listeners of this host."""
        ...

    def taken(self, stack: str) -> tuple[TakenPort, ...]:
        """TCP and UDP ports of this host where something listens but HAProxy for `stack`: also its own containers."""
        ...
