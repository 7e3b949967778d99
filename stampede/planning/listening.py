"""Whether the balancer of a host serves what a stack publishes, and who has to join or leave it."""

from __future__ import annotations

from collections.abc import Sequence

from stampede.balancer.listeners import BalancedStack, Listener
from stampede.balancer.ports import WantedPort, wanted_ports
from stampede.frozen import Frozen
from stampede.planning.found import FoundInstance
from stampede.stackfile.models import Stack


class Member(Frozen):
    """An instance as the balancer knows it."""

    service: str
    name: str


class Listening(Frozen):
    """What has to change at a host's balancer; nothing if `is_right`.

    `added` and `removed` are published ports in words, and so are `closed`, which stay but need a balancer that runs;
    `joining` run but are not balanced, `leaving` the other way.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    joining: tuple[Member, ...] = ()
    leaving: tuple[Member, ...] = ()

    @property
    def is_right(self) -> bool:
        return self == Listening()


def kept_ports(wanted: Sequence[WantedPort], balanced: BalancedStack) -> dict[str, int]:
    """For ports that leave a choice, the one that was chosen before and still fits."""
    kept: dict[str, int] = {}
    for port in wanted:
        for listener in balanced.listeners:
            if port.fixed is None and _serves(listener, port) and listener.port not in kept.values():
                kept[port.key] = listener.port
                break
    return kept


def compare_listening(
    stack: str, wanted: Stack | None, balanced: BalancedStack, staying: Sequence[FoundInstance], *, runs: bool = True
) -> Listening:
    """`staying` are the instances on this host that the plan leaves as they are; `runs` says whether HAProxy does."""
    ports = wanted_ports(stack, wanted.services) if wanted else ()
    unserved = list(ports)
    removed: list[str] = []
    kept: list[str] = []
    for listener in balanced.listeners:
        match = next((port for port in unserved if _serves(listener, port)), None)
        if match:
            unserved.remove(match)
        (kept if match else removed).append(f"{listener.service} {listener.bind}")
    balanced_services = {port.service for port in ports}
    known = {(server.service, server.name) for server in balanced.servers}
    in_service = {(server.service, server.name) for server in balanced.servers if server.in_service}
    here = {(found.service, found.name) for found in staying}
    there = {(f.service, f.name) for f in staying if f.service in balanced_services and f.state == "running"}
    return Listening(
        added=tuple(f"{port.service} {port.host_ip or '*'}:{port.fixed or 'chosen'}" for port in unserved),
        removed=tuple(removed),
        closed=() if runs else tuple(kept),
        joining=tuple(Member(service=s, name=n) for s, n in sorted(there - in_service)),
        leaving=tuple(Member(service=s, name=n) for s, n in sorted(known - here)),
    )


def _serves(listener: Listener, port: WantedPort) -> bool:
    same = (listener.service, listener.host_ip, listener.target, listener.protocol)
    return same == (port.service, port.host_ip, port.target, port.protocol) and port.first <= listener.port <= port.last
