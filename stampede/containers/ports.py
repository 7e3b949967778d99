"""Which ports Docker publishes itself, and which are left to the balancer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from stampede.balancer.ports import choose_ports, wanted_port
from stampede.stackfile.models import Port, Service


def docker_publishes(port: Port) -> bool:
    """Balanced ports (TCP, `mode: ingress`) are the balancer's; everything else Docker publishes itself."""
    return port.mode == "host" or port.protocol != "tcp"


def key_of(port: Port) -> str:
    """How a port is called in labels and in `host_ports`: `53/udp`."""
    return f"{port.target}/{port.protocol}"


def left_to_choose(service: Service) -> dict[str, Port]:
    """Ports that Docker publishes and for which the file names no host port or a range, as `host_ports` calls them."""
    return {key: port for key, port in _published(service) if wanted_port("", "", port, key).fixed is None}


def choose_host_ports(
    stack: str, name: str, service: Service, taken: Collection[tuple[str, int]], kept: Mapping[str, int]
) -> dict[str, int]:
    """A host port for each that is left to choose: the one it had, unless somebody took it, else the first free one.

    `taken` holds protocols and ports of this host. Raises: PortTaken when a range has no free port left.
    """
    chosen: dict[str, int] = {}
    left = left_to_choose(service)
    for protocol in sorted({port.protocol for port in left.values()}):
        wanted = [wanted_port(stack, name, port, key) for key, port in left.items() if port.protocol == protocol]
        used = {number for of, number in taken if of == protocol}
        chosen |= choose_ports(wanted, used, {key: number for key, number in kept.items() if number not in used})
    return chosen


def exposed_ports(service: Service) -> dict[str, dict[str, str]]:
    """Config.ExposedPorts: `expose` (ranges included) and the container side of `ports`."""
    wanted = [key_of(port) for port in service.ports]
    for entry in service.expose:
        span, _, protocol = entry.partition("/")
        wanted += [f"{number}/{protocol or 'tcp'}" for number in _span(span)]
    return {key: {} for key in sorted(set(wanted))}


def port_bindings(service: Service, host_ports: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
    """HostConfig.PortBindings of the ports that Docker publishes.

    `host_ports`, keyed as `left_to_choose` does, holds what was chosen where the file leaves the port open or gives a
    range. Without a choice Docker takes the first free port of the range, or any, anew at each start.
    """
    bindings: dict[str, list[dict[str, Any]]] = {}
    left = left_to_choose(service)
    for key, port in _published(service):
        published = str(host_ports[key]) if key in left and key in host_ports else port.published or ""
        bindings.setdefault(key_of(port), []).append({"HostIp": port.host_ip or "", "HostPort": published})
    return bindings


def _published(service: Service) -> Iterator[tuple[str, Port]]:
    """What Docker publishes: `53/udp`, and `53/udp#2` for a second one to the same target."""
    seen: list[str] = []
    for port in filter(docker_publishes, service.ports):
        seen.append(key_of(port))
        times = seen.count(key_of(port))
        yield (key_of(port) if times == 1 else f"{key_of(port)}#{times}"), port


def _span(text: str) -> Iterator[int]:
    first, _, last = text.partition("-")
    yield from range(int(first), int(last or first) + 1)
