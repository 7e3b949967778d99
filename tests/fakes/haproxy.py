"""A balancer in memory that keeps the promises of `Balancer`; tests/contract/test_haproxy.py holds it to them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Literal

from stampede.balancer.listeners import BalancedStack, Listener, Server, port_of, refuse_clashes
from stampede.balancer.runtime import FoundServer, FoundState, ListenerStatistics, Statistics
from stampede.balancer.taken import TakenPort
from stampede.errors import Cancelled, DaemonError, DaemonUnavailable, PortTaken, UnknownName


class FakeHAProxy:
    """Serves at once. `answering` are the addresses that accept connections, `connections` those open per instance.

    `foreign_ports` (TCP) and `foreign_udp_ports` are held by another program. With `running` false every verb that
    asks HAProxy raises, after the change has reached the files, as the real one does; `out_of_order` keeps it from
    being started. `refuses` is a complaint about the next configuration.
    """

    def __init__(self) -> None:
        self.running = True
        self.out_of_order = False
        self.refuses = ""
        self.reloads = 0
        self.answering: set[str] = set()
        self.connections: dict[str, int] = {}
        self.foreign_ports: set[int] = set()
        self.foreign_udp_ports: set[int] = set()
        self._files: dict[str, BalancedStack] = {}
        self._in_force: dict[str, tuple[Listener, ...]] = {}

    def ensure_running(self, limit_s: float = 20.0) -> bool:
        if self.out_of_order:
            raise DaemonUnavailable(f"haproxy did not answer within {limit_s:g} s")
        started, self.running = not self.running, True
        return started

    def is_running(self) -> bool:
        return self.running

    def configure(self, stack: str, listeners: Iterable[Listener]) -> bool:
        before = self.desired(stack)
        after = before.with_listeners(listeners)
        others = (one for other in self._files.values() if other.stack != stack for one in other.listeners)
        refuse_clashes(after.listeners, others)
        if after != before:
            for listener in after.listeners:
                if listener.port in self.foreign_ports:
                    raise PortTaken(f"port {listener.bind} of service {listener.service} is in use by another program")
            if self.refuses:
                raise DaemonError(f"haproxy refused the new configuration: {self.refuses}")
            self._write(after)
        if not after.listeners and not self.running:
            self._in_force.pop(stack, None)
            return after != before
        self._ask()
        if self._in_force.get(stack, ()) == after.listeners:
            return False
        self._in_force[stack] = after.listeners
        self.reloads += 1
        return True

    def add_server(self, stack: str, service: str, name: str, address: str) -> bool:
        desired = self.desired(stack)
        if not desired.listeners_of(service):
            return False
        known = desired.server(service, name)
        stays = known is not None and known.address == address and known.state != "draining"
        if not stays:
            self._write(desired.with_server(Server(service=service, name=name, address=address)))
        self._ask()
        return not stays

    def wait_server_up(
        self, stack: str, service: str, name: str, limit_s: float, cancelled: threading.Event | None = None
    ) -> bool:
        desired = self.desired(stack)
        if not desired.listeners_of(service):
            return False
        server = desired.server(service, name)
        if server is None or server.state == "draining":
            raise UnknownName(f"{name} is not among the servers of {stack} {service}")
        self._ask()
        if server.address not in self.answering:
            if cancelled is not None and cancelled.is_set():
                raise Cancelled(f"the wait for {name} to accept connections was cancelled")
            raise DaemonError(f"{name} did not accept connections at {server.address} within {limit_s:g} s")
        if server.in_service:
            return False
        self._write(desired.with_server(server.in_state("serving")))
        return True

    def mark_health(self, stack: str, service: str, name: str, *, healthy: bool) -> bool:
        desired = self.desired(stack)
        server = desired.server(service, name)
        if server is None or not server.in_service:
            return False
        marked = server.in_state("serving" if healthy else "unhealthy")
        self._write(desired.with_server(marked))
        self._ask()
        return marked != server

    def drain_server(
        self, stack: str, service: str, name: str, limit_s: float, cancelled: threading.Event | None = None
    ) -> int:
        desired = self.desired(stack)
        server = desired.server(service, name)
        if server is not None:
            self._write(desired.with_server(server.in_state("draining")))
        self._ask()
        if self.connections.get(name) and cancelled is not None and cancelled.is_set():
            raise Cancelled(f"the wait for the connections of {name} to end was cancelled")
        return self.connections.pop(name, 0)

    def remove_server(self, stack: str, service: str, name: str) -> bool:
        desired = self.desired(stack)
        server = desired.server(service, name)
        if server is None:
            return False
        self._write(desired.with_server(server.in_state("draining")))
        self._ask()
        self._write(desired.without_server(service, name))
        self.connections.pop(name, None)
        return True

    def desired(self, stack: str) -> BalancedStack:
        return self._files.get(stack, BalancedStack(stack=stack))

    def servers(self, stack: str) -> tuple[FoundServer, ...]:
        self._ask()
        return tuple(
            FoundServer(
                stack=stack,
                service=server.service,
                name=server.name,
                address=server.address,
                state=self._state(server),
                sessions=self.connections.get(server.name, 0),
            )
            for server in self.desired(stack).servers
        )

    def statistics(self) -> Statistics:
        self._ask()
        return Statistics(
            pid=1,
            uptime_s=0,
            connections=sum(self.connections.values()),
            listeners=tuple(
                ListenerStatistics(
                    stack=listener.stack,
                    service=listener.service,
                    bind=listener.bind,
                    sessions=0,
                    sessions_total=0,
                    bytes_in=0,
                    bytes_out=0,
                    responses_5xx=0,
                    connection_errors=0,
                )
                for listeners in self._in_force.values()
                for listener in listeners
            ),
        )

    def taken(self, stack: str) -> tuple[TakenPort, ...]:
        others = [one for other in self._files.values() if other.stack != stack for one in other.listeners]
        return (*map(port_of, others), *_held("tcp", self.foreign_ports), *_held("udp", self.foreign_udp_ports))

    def _ask(self) -> None:
        if not self.running:
            raise DaemonUnavailable("haproxy does not answer")

    def _write(self, changed: BalancedStack) -> None:
        if changed.listeners:
            self._files[changed.stack] = changed
        else:
            self._files.pop(changed.stack, None)

    def _state(self, server: Server) -> FoundState:
        if server.state == "serving":
            return "serving" if server.address in self.answering else "down"
        return server.state


def _held(protocol: Literal["tcp", "udp"], ports: Iterable[int]) -> list[TakenPort]:
    return [TakenPort(protocol=protocol, address="0.0.0.0", port=n, holder="another program") for n in sorted(ports)]
