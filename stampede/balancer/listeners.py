"""What the balancer of a host shall serve: published ports (listeners) and the instances behind them (servers)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Literal

from stampede.balancer.ports import WantedPort, wanted_ports
from stampede.balancer.taken import TakenPort, overlap
from stampede.errors import Foreign
from stampede.frozen import Frozen
from stampede.stackfile.models import Stack

Protocol = Literal["tcp", "http"]
ServerState = Literal["joining", "serving", "unhealthy", "draining"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_.:-]")
_LONGEST_NAME = 100


def safe_name(text: str) -> str:
    """A name HAProxy accepts; unchanged where it can be, with a digest where something had to be replaced or cut."""
    if _UNSAFE.search(text) is None and len(text) <= _LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{_UNSAFE.sub('_', text)[: _LONGEST_NAME - 9]}-{digest}"


class Listener(Frozen):
    """One published port of a service. `host_ip` None is every IPv4 address; `target` is the port of its servers."""

    stack: str
    service: str
    host_ip: str | None = None
    port: int
    target: int
    protocol: Protocol = "tcp"

    @property
    def name(self) -> str:
        """What HAProxy calls its backend: `shop.web.80`, with the address where one is given."""
        where = "" if self.host_ip is None else f"{ip_address(self.host_ip)}:"
        return safe_name(f"{self.stack}.{self.service}.{where}{self.port}")

    @property
    def bind(self) -> str:
        """What people call it: `*:80`, `127.0.0.1:80`."""
        return f"{self.host_ip or '*'}:{self.port}"

    def overlaps(self, host_ip: str | None, port: int) -> bool:
        """Whether the kernel would let only one of both listen."""
        return self.port == port and overlap(self.host_ip, host_ip)


class Server(Frozen):
    """One instance behind all listeners of its service, at `address`; each listener adds its own target port.

    joining     known, checked, and given no traffic before its first check has passed
    serving     in rotation, as long as its checks pass
    unhealthy   its own health check fails: given traffic only when no other server of the listener is up (fail-open)
    draining    on its way out: no new connections, and not in HAProxy any more after a reload
    """

    service: str
    name: str
    address: str
    state: ServerState = "joining"

    @property
    def in_service(self) -> bool:
        """Whether it has proven itself and nobody is taking it out."""
        return self.state in ("serving", "unhealthy")

    def in_state(self, state: ServerState) -> Server:
        return self.model_copy(update={"state": state})


class BalancedStack(Frozen):
    """All listeners of a stack on this host with their servers: what the host keeps in one file per stack."""

    stack: str
    listeners: tuple[Listener, ...] = ()
    servers: tuple[Server, ...] = ()

    def listeners_of(self, service: str) -> tuple[Listener, ...]:
        return tuple(listener for listener in self.listeners if listener.service == service)

    def servers_of(self, service: str) -> tuple[Server, ...]:
        return tuple(server for server in self.servers if server.service == service)

    def server(self, service: str, name: str) -> Server | None:
        return next((server for server in self.servers_of(service) if server.name == name), None)

    def with_listeners(self, listeners: Iterable[Listener]) -> BalancedStack:
        """With exactly these listeners. Servers stay, except those of services that no longer have a listener."""
        kept = tuple(sorted(listeners, key=lambda listener: (listener.service, listener.port, listener.bind)))
        services = {listener.service for listener in kept}
        servers = tuple(server for server in self.servers if server.service in services)
        return BalancedStack(stack=self.stack, listeners=kept, servers=servers)

    def with_server(self, server: Server) -> BalancedStack:
        """With this server, in place of one of the same service and name."""
        others = self.without_server(server.service, server.name).servers
        servers = tuple(sorted((*others, server), key=lambda one: (one.service, one.name)))
        return self.model_copy(update={"servers": servers})

    def without_server(self, service: str, name: str) -> BalancedStack:
        servers = tuple(one for one in self.servers if (one.service, one.name) != (service, name))
        return self.model_copy(update={"servers": servers})


def listeners_of(stack: Stack, chosen: Mapping[str, int]) -> tuple[Listener, ...]:
    """The listeners of a stack. `chosen` gives the port for each key of a `WantedPort` that leaves a choice.

    Raises: KeyError when `chosen` (see `choose_ports`) lacks one.
    """
    return tuple(listener_for(port, chosen) for port in wanted_ports(stack.name, stack.services))


def listener_for(wanted: WantedPort, chosen: Mapping[str, int]) -> Listener:
    """The listener of one wanted port. Raises: KeyError when `chosen` lacks a port that leaves a choice."""
    return Listener(
        stack=wanted.stack,
        service=wanted.service,
        host_ip=wanted.host_ip,
        port=wanted.fixed if wanted.fixed is not None else chosen[wanted.key],
        target=wanted.target,
        protocol=wanted.protocol,
    )


def port_of(listener: Listener) -> TakenPort:
    """The port that a listener has."""
    return TakenPort(
        protocol="tcp",
        address=listener.host_ip or "0.0.0.0",
        port=listener.port,
        holder=f"service {listener.service} of stack {listener.stack}",
        stack=listener.stack,
    )


def refuse_clashes(wanted: Iterable[Listener], others: Iterable[Listener]) -> None:
    """Raises Foreign when a wanted listener overlaps another of its own stack or of another stack on this host."""
    seen = list(others)
    for listener in wanted:
        for other in seen:
            if listener.overlaps(other.host_ip, other.port):
                raise Foreign(
                    f"port {listener.bind} of service {listener.service} is published"
                    f" by service {other.service} of stack {other.stack} already",
                    "publish another port, or leave the published port out and one is chosen",
                )
        seen.append(listener)
