"""Which host each slot of a service lives on. An instance that has a home keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from stampede.errors import StampedeError
from stampede.planning.dependencies import levels, shares_with
from stampede.planning.found import FoundInstance
from stampede.stackfile.models import Service

Slot = tuple[str, int]
"""A service and the number of one of its instances, from 1."""


def place(services: Mapping[str, Service], hosts: Sequence[str], found: Iterable[FoundInstance]) -> dict[Slot, str]:
    """A home for every slot: the host where it is found, else the one with the fewest instances of this stack.

    A global service has one instance on each host; one that shares a namespace lives beside the one that owns it.
    Raises: StampedeError when there is no host, StackFileError when services depend on each other in a circle.
    """
    if not hosts:
        raise StampedeError("there is no host to place instances on", "stampede server status shows the workers")
    homes = {(f.service, f.slot): f.host for f in found if f.host in hosts}
    slots = [slot for name in chain(*levels(services)) for slot in _slots(name, services[name], len(hosts))]
    load = Counter(dict.fromkeys(hosts, 0)) + Counter(homes[slot] for slot in slots if slot in homes)
    placed: dict[Slot, str] = {}
    for name, number in slots:
        home = _companion_home(services[name], number, placed) or homes.get((name, number))
        if home is None:
            free = hosts
            if services[name].deploy.mode == "global":
                taken = {placed.get(slot, homes.get(slot)) for slot in slots if slot[0] == name}
                free = [host for host in hosts if host not in taken]
            home = min(free, key=lambda host: (load[host], hosts.index(host)))
            load[home] += 1
        placed[name, number] = home
    return placed


def _slots(name: str, service: Service, hosts: int) -> list[Slot]:
    count = hosts if service.deploy.mode == "global" else service.replicas
    return [(name, number) for number in range(1, count + 1)]


def _companion_home(service: Service, number: int, placed: Mapping[Slot, str]) -> str | None:
    """Where the instance is whose namespaces it shares: of the same slot, or the first."""
    slots = [(other, n) for other in sorted(shares_with(service)) for n in (number, 1)]
    return next((placed[slot] for slot in slots if slot in placed), None)
