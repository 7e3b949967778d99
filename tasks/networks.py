"""Networks of stacks, and the addresses of instances on them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

from prefect import get_run_logger, task

from stampede.addresses import assign, network_subnet, reserved
from stampede.planning.found import FoundNetwork
from stampede.planning.instances import Instance
from stampede.stackfile.models import Network
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread

_choosing_subnet = threading.Lock()


@task(task_run_name="ensure network {network.name}", **RETRY_TRANSIENT)
async def ensure_network(mandate: Mandate, network: Network) -> str:
    """Afterwards the network is there; its subnet is returned. A subnet in the file wins over one of ours.

    Raises: Foreign if a network of that name is not ours, DaemonError if an external one is missing, Fenced.
    """
    mandate.check()
    found = await in_thread(_ensure, network, mandate.stack)
    get_run_logger().info("network %s is %s", found.name, found.subnet)
    return found.subnet


def _ensure(network: Network, stack: str) -> FoundNetwork:
    host = this_host()
    with _choosing_subnet:  # two stacks that come up at once must not choose the same block
        subnet = network_subnet(host.docker.networks.taken_subnets())
        return host.docker.networks.ensure_network(network, cluster=host.cluster, stack=stack, subnet=subnet)


@task(task_run_name="remove network {name}", **RETRY_TRANSIENT)
async def remove_network(mandate: Mandate, name: str) -> None:
    """Afterwards it is gone. Raises: Foreign if it is not ours, DaemonError while something uses it, Fenced."""
    mandate.check()
    host = this_host()
    await in_thread(host.docker.networks.remove_network, name, cluster=host.cluster)


class AddressBook:
    """Addresses of the instances of a roll-out, given out wave by wave: what one wave leaves, the next may have.

    `networks` are those of ours, with their subnets. On external networks the daemon chooses.
    """

    def __init__(self, networks: Mapping[str, Network] | None = None, subnets: Mapping[str, str] | None = None) -> None:
        self._networks, self._subnets = networks or {}, subnets or {}
        self._lock = asyncio.Lock()
        self.given: dict[str, dict[str, str]] = {}
        """By name of the instance, then by Docker's name of the network."""

    async def give(self, instances: Sequence[Instance]) -> None:
        """Afterwards each of them has an address on every network of ours, and nobody else has it.

        An instance keeps it for life: one whose container is there gets the address that it has. Fixed addresses of
        the file win. Raises: BadInput when a network is full.
        """
        async with self._lock:  # lanes run at the same time, and must not be given the same one
            for network, subnet in self._subnets.items():
                members = [instance for instance in instances if network in instance.networks]
                if members:
                    await self._give(network, subnet, members)

    async def _give(self, network: str, subnet: str, members: Sequence[Instance]) -> None:
        fixed = {i.name: a for i in members if (a := i.networks[network].ipv4_address)}
        used = await in_thread(this_host().docker.networks.used_addresses, network)
        promised = {given[network]: name for name, given in self.given.items() if network in given}
        kept = {name: address for address, name in {**promised, **used}.items()}  # by name of the container
        free = [instance.name for instance in members if instance.name not in fixed]
        blocked = {*used, *promised, *fixed.values(), *reserved(self._networks[network])}
        for name, address in {**assign(subnet, blocked, free, kept), **fixed}.items():
            self.given.setdefault(name, {})[network] = address
