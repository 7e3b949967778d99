"""What makes no sense about a stack as a whole, and what the reference does not check."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stampede.stackfile.complaint import Complaint, Path
from stampede.stackfile.models import Port, Service, Stack

MOST_REPLICAS = 10_000  # a slip of the keyboard should not be planned
_EXPOSED = re.compile(r"\d{1,5}(-\d{1,5})?(/(tcp|udp|sctp))?")


def check(stack: Stack) -> tuple[str, ...]:
    """Warnings about a stack that makes sense. Raises: Complaint about the first thing that does not."""
    for name, service in stack.services.items():
        _check_single(name, service)
        _check_references(name, service, stack)
        _check_values(name, service)
    _check_ports(stack)
    _check_volumes(stack)
    return tuple(_health_unknown(stack))


def _check_single(name: str, service: Service) -> None:
    """What only one instance can have must not be asked of several."""
    several = service.replicas > 1
    path = ("services", name)
    if several and service.container_name:
        message = f"{service.replicas} replicas cannot all be called {service.container_name}"
        raise Complaint((*path, "container_name"), message, "leave container_name out, or say replicas: 1")
    for network, attachment in service.networks.items():
        if several and (attachment.ipv4_address or attachment.mac_address):
            key = "ipv4_address" if attachment.ipv4_address else "mac_address"
            message = f"{service.replicas} replicas cannot share one address"
            raise Complaint((*path, "networks", network, key), message, f"leave {key} out, or say replicas: 1")
    if several and service.mac_address:
        raise Complaint((*path, "mac_address"), "replicas cannot share one address", "leave mac_address out")
    if several and service.network_mode == "host":
        message = f"{service.replicas} replicas on one host would share its ports with network_mode: host"
        raise Complaint((*path, "network_mode"), message, "say replicas: 1, or leave network_mode out")
    for at, port in enumerate(service.ports):
        if several:
            _check_published_by_several((*path, "ports", str(at)), port, service.replicas)


def _check_published_by_several(path: Path, port: Port, replicas: int) -> None:
    """What Docker publishes for each instance itself needs a host port for each."""
    balanced = port.mode != "host" and port.protocol == "tcp"
    if balanced or port.published in (None, "", "0"):
        return
    first, _, last = str(port.published).partition("-")
    room = int(last or first) - int(first) + 1
    if room < replicas:
        kind = "in mode: host" if port.mode == "host" else f"over {port.protocol}, which is not balanced"
        what = f"have port {port.published}" if room == 1 else f"have one of ports {port.published}"
        fix = "leave mode: host out, and the port is balanced" if port.protocol == "tcp" else "say replicas: 1"
        message = f"{replicas} replicas on one host cannot all {what} {kind}"
        raise Complaint(path, message, f"{fix}, or leave published out and each gets a port of its own")


def _check_values(name: str, service: Service) -> None:
    path = ("services", name)
    if service.replicas > MOST_REPLICAS:
        message = f"{service.replicas} replicas are more than {MOST_REPLICAS}"
        raise Complaint((*path, "deploy", "replicas"), message, "name a smaller number")
    most = service.deploy.placement.max_replicas_per_node
    if most is not None and 0 < most < service.replicas:
        message = f"{service.replicas} replicas do not fit on one host"
        raise Complaint((*path, "deploy", "placement", "max_replicas_per_node"), message, "there is one host so far")
    for at, mount in enumerate(service.volumes):
        if not mount.target.startswith("/"):
            raise Complaint((*path, "volumes", str(at)), f"{mount.target} is no absolute path", "begin it with /")
    for at, port in enumerate(service.expose):
        if not _EXPOSED.fullmatch(port):
            raise Complaint((*path, "expose", str(at)), f"{port} is no port", "say a number from 1 to 65535")


def _check_references(name: str, service: Service, stack: Stack) -> None:
    shared = {"network_mode": service.network_mode, "pid": service.pid, "ipc": service.ipc}
    for key, mode in shared.items():
        kind, _, other = (mode or "").partition(":")
        if kind == "service" and other not in stack.services:
            hint = f"there are {', '.join(stack.services)}"
            raise Complaint(("services", name, key), f"no service is called {other}", hint)
    kind, _, other = (service.network_mode or "").partition(":")
    if kind in ("host", "none", "service") and service.ports:
        hint = f"publish them at {other}" if kind == "service" else "leave ports out, or network_mode"
        raise Complaint(("services", name, "ports"), f"no port can be published with network_mode: {kind}", hint)


def _check_volumes(stack: Stack) -> None:
    """Managed volumes are made by us, and what they name is there."""
    for name, volume in stack.volumes.items():
        path = ("volumes", name)
        if not volume.managed:
            continue
        if volume.external or volume.driver not in (None, "local") or volume.driver_opts:
            key = "external" if volume.external else "driver_opts" if volume.driver_opts else "driver"
            message = "a volume with x-size, x-snapshots or x-backups is made by Stampede"
            raise Complaint((*path, key), message, f"leave {key} out, or the x- keys")
        drill = volume.backups.drill if volume.backups else None
        if drill and drill.service and drill.service not in stack.services:
            hint = f"there are {', '.join(stack.services)}"
            raise Complaint((*path, "x-backups", "drill", "service"), f"no service is called {drill.service}", hint)


def _check_ports(stack: Stack) -> None:
    """No two services may publish the same port of a host."""
    taken: dict[tuple[int, str], list[tuple[str, str]]] = {}
    for name, service in stack.services.items():
        for at, port in enumerate(service.ports):
            for number in published_numbers(port):
                path = ("services", name, "ports", str(at))
                for other, address in taken.setdefault((number, port.protocol), []):
                    if _overlap(address, port.host_ip or "") and (other, address) != (name, port.host_ip or ""):
                        what = f"port {number}/{port.protocol} of the host is published by {other} already"
                        raise Complaint(path, what, "choose another port, or one service in front of both")
                taken[number, port.protocol].append((name, port.host_ip or ""))


def published_numbers(port: Port) -> range:
    """The host ports that a fixed port asks for; a range with one target takes any one of it, so asks for none."""
    if port.published and port.published.isdecimal() and int(port.published):
        return range(int(port.published), int(port.published) + 1)
    return range(0)


def _overlap(one: str, other: str) -> bool:
    every = ("", "0.0.0.0", "::")
    return one == other or one in every or other in every


def _health_unknown(stack: Stack) -> Iterator[str]:
    """Dependents that wait for health which only an image can define."""
    for name, service in stack.services.items():
        for other, dependency in service.depends_on.items():
            needed = stack.services.get(other)
            if dependency.condition != "service_healthy" or needed is None:
                continue
            if needed.healthcheck is None:
                yield (
                    f"services.{name}.depends_on.{other} waits for a healthy {other}, which has no healthcheck here: "
                    "its image must have one"
                )
