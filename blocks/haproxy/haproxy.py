"""HAProxy on this host: files first, then the running process. The promises stand in verbs.py.

Servers come and go through the admin socket at once and through the files, so that neither a reload nor a reboot
forgets them; only a change of listeners reloads. Sources: HAProxy 2.6 management guide, 9.3 and 9.4.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

from stampede.balancer.listeners import BalancedStack, Listener, Server, port_of, refuse_clashes
from stampede.balancer.render import frontend_of
from stampede.balancer.runtime import FoundServer, ListenerStatistics, Row, Statistics, parse_info, parse_rows
from stampede.balancer.taken import TakenPort
from stampede.blocks.haproxy.files import BalancerFiles
from stampede.blocks.haproxy.process import HAProxyProcess, service_argv, start_under_supervision
from stampede.blocks.haproxy.rotation import Rotation
from stampede.blocks.haproxy.sockets import Socket, wait_until
from stampede.blocks.haproxy.taken import refuse_absent, refuse_taken, taken_ports
from stampede.errors import Cancelled, DaemonError, Transient, UnknownName
from stampede.places import Places

__all__ = ["HAProxy", "service_argv"]

RELOADED_WITHIN_S = 2.0


class HAProxy:
    """The HAProxy whose files and sockets are in `places`. It is the host's supervisor that runs it."""

    def __init__(self, places: Places) -> None:
        self.places = places
        admin = Socket(places.run / "haproxy.sock")
        self._files = BalancerFiles(places, admin.path)
        self._process = HAProxyProcess(places, admin)
        self._admin = admin
        self._rotation = Rotation(admin)

    def ensure_config(self) -> Path:
        """haproxy.cfg is there and says what the stacks' files say, so that the process can be started from it."""
        with self._files.locked():
            self._files.write_config()
        self.places.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._files.config

    def ensure_running(self, limit_s: float = 20.0) -> bool:
        if self._process.is_running():
            return False
        self.ensure_config()
        start_under_supervision(self.places)
        self._process.wait_for_answer(limit_s)
        return True

    def is_running(self) -> bool:
        return self._process.is_running(RELOADED_WITHIN_S)

    def configure(self, stack: str, listeners: Iterable[Listener]) -> bool:
        with self._files.locked():
            before = self._files.stack(stack)
            after = before.with_listeners(listeners)
            others = (one for other in self._files.stacks() if other.stack != stack for one in other.listeners)
            refuse_clashes(after.listeners, others)
            if after != before:
                refuse_absent(after.listeners)
                refuse_taken(after.listeners, self._process.pids())
                self._process.check(self._files.write_candidate(after))
                self._files.write(after)
            elif not self._files.config.exists():
                self._files.write_config()
            if not after.listeners and not self._process.pids():
                return after != before  # where no HAProxy runs, nothing is published
            return self._take_over(before)

    def add_server(self, stack: str, service: str, name: str, address: str) -> bool:
        with self._files.locked():
            desired = self._files.stack(stack)
            listeners = desired.listeners_of(service)
            if not listeners:
                return False
            known = desired.server(service, name)
            stays = known is not None and known.address == address and known.state != "draining"
            server = known if known and stays else Server(service=service, name=name, address=address)
            if server != known:
                self._files.write(desired.with_server(server))
            return self._rotation.ensure(listeners, server) or server != known

    def wait_server_up(
        self, stack: str, service: str, name: str, limit_s: float, cancelled: threading.Event | None = None
    ) -> bool:
        deadline, stop = time.monotonic() + limit_s, cancelled or threading.Event()
        while True:
            with self._files.locked():
                desired = self._files.stack(stack)
                listeners, server = desired.listeners_of(service), desired.server(service, name)
                if not listeners:
                    return False
                if server is None or server.state == "draining":
                    raise UnknownName(f"{name} is not among the servers of {stack} {service}", "add it first")
                self._rotation.ensure(listeners, server)  # a reload meanwhile may have put it back to maintenance
                if self._rotation.has_passed(listeners, name):
                    serving = server if server.in_service else server.in_state("serving")
                    if serving != server:
                        self._files.write(desired.with_server(serving))
                    return self._rotation.ensure(listeners, serving)
            if time.monotonic() > deadline:
                raise DaemonError(
                    f"{name} did not accept connections at {server.address}"
                    f" port {', '.join(str(one.target) for one in listeners)} within {limit_s:g} s",
                    "does the program in it listen on that port, on all its addresses?",
                )
            if stop.wait(0.05):
                raise Cancelled(f"the wait for {name} to accept connections was cancelled")

    def mark_health(self, stack: str, service: str, name: str, *, healthy: bool) -> bool:
        with self._files.locked():
            desired = self._files.stack(stack)
            server = desired.server(service, name)
            if server is None or not server.in_service:
                return False
            marked = server.in_state("serving" if healthy else "unhealthy")
            if marked != server:
                self._files.write(desired.with_server(marked))
            return self._rotation.ensure(desired.listeners_of(service), marked) or marked != server

    def drain_server(
        self, stack: str, service: str, name: str, limit_s: float, cancelled: threading.Event | None = None
    ) -> int:
        stop = cancelled or threading.Event()
        listeners, _ = self._start_leaving(stack, service, name)
        self._rotation.drain(listeners, name)
        if wait_until(lambda: self._rotation.sessions(listeners, name) == 0 or stop.is_set(), limit_s):
            if stop.is_set() and self._rotation.sessions(listeners, name):
                raise Cancelled(f"the wait for the connections of {name} to end was cancelled")
            return 0
        return self._rotation.cut(listeners, name)

    def remove_server(self, stack: str, service: str, name: str) -> bool:
        listeners, known = self._start_leaving(stack, service, name)
        removed = self._rotation.remove(listeners, name)
        with self._files.locked():
            desired = self._files.stack(stack)
            left = desired.server(service, name)
            if left is not None and left.state == "draining":
                self._files.write(desired.without_server(service, name))
        return removed or known

    def desired(self, stack: str) -> BalancedStack:
        return self._files.stack(stack)

    def servers(self, stack: str) -> tuple[FoundServer, ...]:
        return self._rotation.found(self._files.stack(stack))

    def statistics(self) -> Statistics:
        info = parse_info(self._admin.ask("show info", patience_s=0.5))  # a reload takes less; metrics shall not wait
        rows = {row.proxy: row for row in parse_rows(self._admin.ask("show stat -1 1 -1"))}
        totals = {row.proxy: row for row in parse_rows(self._admin.ask("show stat -1 2 -1"))}
        listeners = (one for stack in self._files.stacks() for one in stack.listeners if frontend_of(one) in rows)
        return Statistics(
            pid=int(info["Pid"]),
            uptime_s=int(info["Uptime_sec"]),
            connections=int(info["CurrConns"]),
            listeners=tuple(_counters(one, rows[frontend_of(one)], totals[one.name]) for one in listeners),
        )

    def taken(self, stack: str) -> tuple[TakenPort, ...]:
        others = [one for other in self._files.stacks() if other.stack != stack for one in other.listeners]
        return (*map(port_of, others), *taken_ports(self._process.pids()))

    def _take_over(self, before: BalancedStack) -> bool:
        """HAProxy has the listeners of the files; when it cannot start with them, the files are as `before`."""
        wanted = self._files.fingerprint()
        if self._process.fingerprint() == wanted:
            return False
        try:
            self._process.reload(wanted)
        except Transient:
            raise  # the files hold, and the next call finds whether HAProxy has come to them
        except DaemonError:
            self._files.write(before)
            raise
        return True

    def _start_leaving(self, stack: str, service: str, name: str) -> tuple[tuple[Listener, ...], bool]:
        """Marks a server in the files as draining; returns the listeners it stands behind, and whether it was known.

        It stays in the files until HAProxy has let it go, so that a change that dies in between can be taken up.
        """
        with self._files.locked():
            desired = self._files.stack(stack)
            server = desired.server(service, name)
            if server is not None and server.state != "draining":
                self._files.write(desired.with_server(server.in_state("draining")))
            return desired.listeners_of(service), server is not None


def _counters(listener: Listener, frontend: Row, backend: Row) -> ListenerStatistics:
    return ListenerStatistics(
        stack=listener.stack,
        service=listener.service,
        bind=listener.bind,
        sessions=frontend.sessions,
        sessions_total=frontend.sessions_total,
        bytes_in=frontend.bytes_in,
        bytes_out=frontend.bytes_out,
        responses_5xx=frontend.responses_5xx,
        connection_errors=backend.connection_errors,
    )
