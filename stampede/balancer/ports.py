"""Which published ports are balanced, and which host ports are chosen where the stack file leaves a choice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Literal

from stampede.errors import BadInput, PortTaken
from stampede.frozen import Frozen
from stampede.stackfile.models import Port, Service

FIRST_CHOSEN, LAST_CHOSEN = 30000, 32767  # below the kernel's ephemeral ports, which outgoing connections take
HIGHEST_PORT = 65535
_WILDCARDS = frozenset({"", "0.0.0.0"})


class WantedPort(Frozen):
    """A port that shall be balanced, at a host port between `first` and `last`; the key names it in `chosen`."""

    stack: str
    service: str
    host_ip: str | None
    first: int
    last: int
    target: int
    protocol: Literal["tcp", "http"]
    key: str

    @property
    def fixed(self) -> int | None:
        """The host port, when the file leaves no choice."""
        return self.first if self.first == self.last else None


def is_balanced(service: Service, port: Port) -> bool:
    """Whether HAProxy serves this port. Others (UDP, `mode: host`, the host's network) are published by Docker."""
    own_network = service.network_mode in (None, "", "bridge", "default")
    return own_network and port.protocol == "tcp" and port.mode == "ingress"


def wanted_ports(stack: str, services: Mapping[str, Service]) -> tuple[WantedPort, ...]:
    """The balanced ports of a stack, ordered by service, then as the file has them.

    Raises: BadInput for a published port that is no port or range.
    """
    return tuple(
        wanted_port(stack, name, port, key)
        for name, service in sorted(services.items())
        for key, port in _keyed(name, service).items()
    )


def _keyed(name: str, service: Service) -> dict[str, Port]:
    """Keys that stay when other ports come and go: `web/80`, and `web/80#2` for a second one to the same target."""
    keyed: dict[str, Port] = {}
    for port in (port for port in service.ports if is_balanced(service, port)):
        first = f"{name}/{port.name or port.target}"
        again = (f"{first}#{number}" for number in count(2))
        keyed[first if first not in keyed else next(key for key in again if key not in keyed)] = port
    return keyed


def wanted_port(stack: str, service: str, port: Port, key: str) -> WantedPort:
    """What the file asks for at this port, balanced or not. Raises: BadInput for what is no port or range."""
    first, last = _span(port, service)
    host_ip = None if (port.host_ip or "") in _WILDCARDS else port.host_ip
    return WantedPort(
        stack=stack,
        service=service,
        host_ip=host_ip,
        first=first,
        last=last,
        target=port.target,
        protocol="http" if port.app_protocol == "http" else "tcp",
        key=key,
    )


def _span(port: Port, service: str) -> tuple[int, int]:
    if port.published in (None, "", "0"):
        return FIRST_CHOSEN, LAST_CHOSEN
    head, _, tail = str(port.published).partition("-")
    try:
        first, last = int(head), int(tail or head)
    except ValueError:
        first, last = 0, -1
    if not 0 < first <= last <= HIGHEST_PORT:
        raise BadInput(
            f"service {service}: {port.published!r} is no port and no range of ports",
            "write published: 8080 or published: 7000-7010",
        )
    return first, last


def choose_ports(wanted: Iterable[WantedPort], taken: Collection[int], kept: Mapping[str, int]) -> dict[str, int]:
    """A host port for each key that leaves a choice: the one it had, else the first that is free.

    `taken` are ports in use by anything but this stack; `kept` is what was chosen before and wins while it fits.
    Raises: PortTaken when a range has no free port left.
    """
    wanted = tuple(wanted)
    chosen = {
        port.key: kept[port.key]
        for port in wanted
        if port.fixed is None and port.first <= kept.get(port.key, 0) <= port.last
    }
    used = {*taken, *chosen.values(), *(port.fixed for port in wanted if port.fixed is not None)}
    for port in wanted:
        if port.fixed is not None or port.key in chosen:
            continue
        free = next((number for number in range(port.first, port.last + 1) if number not in used), None)
        if free is None:
            raise PortTaken(
                f"services.{port.service}.ports: every host port of {port.first}-{port.last} is in use",
                "publish a wider range, or another one",
            )
        chosen[port.key] = free
        used.add(free)
    return chosen
