"""Which subnet a network gets and which addresses its instances get. Pure arithmetic; IPv4."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from stampede.errors import BadInput
from stampede.stackfile.models import Network

CLUSTER_RANGE = "10.42.0.0/16"
NETWORK_PREFIX = 24


def network_subnet(taken: Iterable[str], cluster_range: str = CLUSTER_RANGE) -> str:
    """The first /24 of the cluster's range that overlaps none of the `taken` subnets.

    Raises: BadInput when the range is full.
    """
    nets = [ipaddress.ip_network(subnet, strict=False) for subnet in taken]
    blocked = [net for net in nets if isinstance(net, ipaddress.IPv4Network)]
    for candidate in ipaddress.IPv4Network(cluster_range).subnets(new_prefix=NETWORK_PREFIX):
        if not any(candidate.overlaps(other) for other in blocked):
            return str(candidate)
    raise BadInput(
        f"no free /{NETWORK_PREFIX} is left in {cluster_range} for another network",
        "remove a stack, or give the network a subnet of its own (ipam.config.subnet)",
    )


def reserved(network: Network) -> frozenset[str]:
    """Addresses that the file itself gives to the gateway and to what is none of ours."""
    pools = network.ipam.config
    return frozenset(a for pool in pools for a in (pool.gateway, *pool.aux_addresses.values()) if a)


def room(subnet: str, used: Iterable[str]) -> int:
    """How many more addresses `assign` could give out."""
    net = ipaddress.IPv4Network(subnet, strict=False)
    blocked = {ipaddress.IPv4Address(address) for address in used}
    blocked |= {net.network_address, net.network_address + 1, net.broadcast_address}
    return net.num_addresses - sum(address in net for address in blocked)


def assign(
    subnet: str, used: Iterable[str], wanted: Iterable[str], kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """An address for each wanted name: the one it has (`kept`), else the lowest free one, names in order.

    Never the network's own address, the gateway (the first) or the broadcast address, and none of `used`.
    Raises: BadInput when the subnet is full.
    """
    net = ipaddress.IPv4Network(subnet)
    names = list(dict.fromkeys(wanted))
    given = {name: (kept or {})[name] for name in names if name in (kept or {})}
    blocked = {ipaddress.IPv4Address(address) for address in (*used, *given.values())}
    blocked |= {net.network_address, net.network_address + 1, net.broadcast_address}
    free = (address for address in net if address not in blocked)
    for name in names:
        if name in given:
            continue
        address = next(free, None)
        if address is None:
            raise BadInput(
                f"{subnet} has no free address left for {name}", "use fewer replicas, or a network with a larger subnet"
            )
        given[name] = str(address)
    return given
