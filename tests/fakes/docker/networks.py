"""Networks in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from stampede.errors import DaemonError, Foreign
from stampede.planning.found import FoundNetwork
from stampede.planning.network_traits import network_traits
from stampede.stackfile.models import Network

if TYPE_CHECKING:
    from tests.fakes.docker.host import FakeDockerHost


class FakeNetworks:
    """See contract.Networks."""

    def __init__(self, host: FakeDockerHost) -> None:
        self._host = host
        self._made: dict[str, tuple[str, FoundNetwork]] = {}
        self.projects: dict[str, str] = {}

    def add_foreign(self, name: str, subnet: str = "172.30.0.0/24", project: str = "") -> None:
        """A network that somebody else made is there, or Compose did for this project."""
        self.projects[name] = project
        self._made[name] = (
            "",
            FoundNetwork(id=_id_of(name), name=name, stack="", subnet=subnet),
        )

    def of_cluster(self, cluster: str) -> list[FoundNetwork]:
        return sorted(
            (
                found.model_copy(update={"used": tuple(sorted(self.used_addresses(found.name)))})
                for owner, found in self._made.values()
                if owner == cluster
            ),
            key=lambda n: n.name,
        )

    def others(self, cluster: str, stack: str | None) -> tuple[str, ...]:
        """Names of those that are not of this stack, or not of this cluster if None."""
        made = self._made.items()
        return tuple(sorted(n for n, (of, f) in made if of != cluster or stack not in (None, f.stack)))

    def ensure_network(self, network: Network, *, cluster: str, stack: str, subnet: str | None = None) -> FoundNetwork:
        self._host.answer()
        there = self._made.get(network.name)
        if network.external:
            if there is None:
                raise DaemonError(f"the external network {network.name} does not exist")
            return there[1]
        if there is not None:
            if there[0] != cluster or there[1].stack != stack:
                raise Foreign(f"a network named {network.name} exists already and is not of stack {stack}")
            return there[1]
        said = next((pool.subnet for pool in network.ipam.config if pool.subnet), subnet) or ""
        with self._host.effect(f"make network {network.name}"):
            found = FoundNetwork(
                id=_id_of(network.name),
                name=network.name,
                stack=stack,
                subnet=said,
                internal=network.internal,
                traits=network_traits(network, said),
            )
            self._made[network.name] = (cluster, found)
        return found

    def remove_network(self, name: str, *, cluster: str) -> None:
        self._host.answer()
        there = self._made.get(name)
        if there is None:
            return
        if there[0] != cluster:
            raise Foreign(f"network {name} was not made by this installation")
        if any(name in c.attached and c.found.state == "running" for c in self._host.by_name.values()):
            raise DaemonError(f"network {name} has active endpoints")
        with self._host.effect(f"remove network {name}"):
            del self._made[name]

    def exists(self, name: str) -> bool:
        return name in self._made

    def remove_foreign(self, name: str) -> None:
        """A network that somebody else made is gone."""
        self._made.pop(name, None)
        self.projects.pop(name, None)

    def taken_subnets(self) -> tuple[str, ...]:
        self._host.answer()
        return tuple(sorted({"172.17.0.0/16", *(found.subnet for _, found in self._made.values() if found.subnet)}))

    def used_addresses(self, network: str) -> dict[str, str]:
        self._host.answer()
        everyone = [container.found for container in self._host.by_name.values()]
        return {found.addresses[network]: found.name for found in everyone if network in found.addresses}


def _id_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
