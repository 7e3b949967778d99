"""Which ports Docker publishes itself, and which are left to the balancer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stampede.stackfile.models import Port, Service


def docker_publishes(port: Port) -> bool:
    """Balanced ports (TCP, `mode: ingress`) are the balancer's; everything else Docker publishes itself."""
    return port.mode == "host" or port.protocol != "tcp"


def key_of(port: Port) -> str:
    """How a port is called in labels and in `host_ports`: `53/udp`."""
    return f"{port.target}/{port.protocol}"


def exposed_ports(service: Service) -> dict[str, dict[str, str]]:
    """Config.ExposedPorts: `expose` (ranges included) and the container side of `ports`."""
    wanted = [key_of(port) for port in service.ports]
    for entry in service.expose:
        span, _, protocol = entry.partition("/")
        wanted += [f"{number}/{protocol or 'tcp'}" for number in _span(span)]
    return {key: {} for key in sorted(set(wanted))}


def port_bindings(service: Service, host_ports: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
    """HostConfig.PortBindings of the ports that Docker publishes.

    `host_ports`, keyed like `53/udp`, holds what was chosen where the file leaves the port open or gives a range.
    Without a choice Docker takes the first free port of the range, or any.
    """
    bindings: dict[str, list[dict[str, Any]]] = {}
    for port in filter(docker_publishes, service.ports):
        published = port.published or ""
        if not published.isdigit() and key_of(port) in host_ports:
            published = str(host_ports[key_of(port)])
        bindings.setdefault(key_of(port), []).append({"HostIp": port.host_ip or "", "HostPort": published})
    return bindings


def _span(text: str) -> Iterator[int]:
    first, _, last = text.partition("-")
    yield from range(int(first), int(last or first) + 1)
