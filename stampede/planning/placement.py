"""Which host each slot of a service lives on. An instance that has a home keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from stampede.errors import StampedeError
from stampede.planning.found import FoundInstance
from stampede.stackfile.models import Service

Slot = tuple[str, int]
"""A service and the number of one of its instances, from 1."""


def place(services: Mapping[str, Service], hosts: Sequence[str], found: Iterable[FoundInstance]) -> dict[Slot, str]:
    """A home for every slot: the host where it is found, else the one with the fewest instances of this stack.

    Raises: StampedeError when there is no host.
    """
    if not hosts:
        raise StampedeError("there is no host to place instances on", "stampede server status shows the workers")
    homes = {(f.service, f.slot): f.host for f in found if f.host in hosts}
    load = Counter(dict.fromkeys(hosts, 0))
    placed: dict[Slot, str] = {}
    for name, service in services.items():
        count = len(hosts) if service.deploy.mode == "global" else service.replicas
        for number in range(1, count + 1):
            home = homes.get((name, number)) or min(hosts, key=lambda host: (load[host], hosts.index(host)))
            placed[name, number] = home
            load[home] += 1
    return placed
