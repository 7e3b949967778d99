"""Networks of stacks, and the addresses of instances on them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from prefect import get_run_logger, task

from stampede.addresses import assign, network_subnet
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


async def choose_addresses(instances: Sequence[Instance], subnets: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """An address for every instance (by name) on every network of ours (by Docker's name).

    An instance keeps it for life: one whose container is there gets the address that it has. Fixed addresses of the
    file win; on external networks, which are not in `subnets`, the daemon chooses. Raises: BadInput when one is full.
    """
    chosen: dict[str, dict[str, str]] = {instance.name: {} for instance in instances}
    for network, subnet in subnets.items():
        members = [instance for instance in instances if network in instance.networks]
        fixed = {i.name: a for i in members if (a := i.networks[network].ipv4_address)}
        used = await in_thread(this_host().docker.networks.used_addresses, network)
        free = [instance.name for instance in members if instance.name not in fixed]
        kept = {name: address for address, name in used.items()}  # by name of the container
        assigned = {**assign(subnet, {*used, *fixed.values()}, free, kept), **fixed}
        for name, address in assigned.items():
            chosen[name][network] = address
    return chosen
