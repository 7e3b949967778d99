"""The order in which the services of a stack start."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from stampede.errors import StackFileError
from stampede.stackfile.models import Service

_SHARED = "service:"


def shares_with(service: Service) -> frozenset[str]:
    """Services whose network, process or IPC namespace this one lives in."""
    modes = (service.network_mode, service.pid, service.ipc)
    return frozenset(mode.removeprefix(_SHARED) for mode in modes if mode and mode.startswith(_SHARED))


def levels(services: Mapping[str, Service]) -> list[list[str]]:
    """Services in groups: each group needs only what stands in groups before it. Raises: StackFileError for a cycle."""
    graph = {
        name: {other for other in {*service.depends_on, *shares_with(service)} if other in services}
        for name, service in services.items()
    }
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        raise StackFileError(f"services depend on each other in a circle: {' → '.join(error.args[1])}") from error
    ordered: list[list[str]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered.append(ready)
        sorter.done(*ready)
    return ordered


def must_complete(services: Mapping[str, Service]) -> frozenset[str]:
    """Services that another one waits for to end with exit code 0."""
    return frozenset(
        other
        for service in services.values()
        for other, dependency in service.depends_on.items()
        if dependency.condition == "service_completed_successfully"
    )
