"""What a network was made with, kept in a label as digests, so that a file that says otherwise later is noticed. Pure.

Digests, because labels and driver options may hold what nobody should read in a host's report.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from ipaddress import ip_network

from stampede.planning.found import FoundNetwork
from stampede.stackfile.models import IpamConfig, Network


def pools_of(network: Network, subnet: str | None) -> tuple[IpamConfig, ...]:
    """Its pools of addresses: those of the file, else `subnet`. The first address is the gateway unless one is said."""
    pools = network.ipam.config or ((IpamConfig(subnet=subnet),) if subnet else ())
    return tuple(_with_gateway(pool) for pool in pools)


def network_traits(network: Network, subnet: str | None) -> dict[str, str]:
    """The digest of every value that Docker takes only when it makes the network, by key as the file has it."""
    said = {
        "driver": network.driver if network.driver not in (None, "", "default") else "bridge",
        "internal": str(network.internal),
        **{f"labels.{key}": value for key, value in network.labels.items()},
        **{f"driver_opts.{key}": value for key, value in network.driver_opts.items()},
        **dict(_of_pools(pools_of(network, subnet))),
    }
    return {key: hashlib.sha256(str(value).encode()).hexdigest()[:12] for key, value in sorted(said.items())}


def traits_label(network: Network, subnet: str | None) -> str:
    """Those as the value of a label."""
    return json.dumps(network_traits(network, subnet), separators=(",", ":"))


def made_otherwise(found: FoundNetwork, wanted: Network) -> tuple[str, ...]:
    """Keys in which a network differs from what the file says; what the file leaves open is never different."""
    said = network_traits(wanted, found.subnet)
    return tuple(sorted(key for key in said.keys() | found.traits.keys() if said.get(key) != found.traits.get(key)))


def _of_pools(pools: tuple[IpamConfig, ...]) -> Iterator[tuple[str, str]]:
    for at, pool in enumerate(pools):
        path = f"ipam.config.{at}"
        if pool.subnet:
            yield f"{path}.subnet", str(ip_network(pool.subnet, strict=False))
        if pool.gateway:
            yield f"{path}.gateway", pool.gateway
        if pool.ip_range:
            yield f"{path}.ip_range", pool.ip_range
        yield from ((f"{path}.aux_addresses.{name}", address) for name, address in pool.aux_addresses.items())


def _with_gateway(pool: IpamConfig) -> IpamConfig:
    if pool.gateway is not None or pool.subnet is None:
        return pool
    return pool.model_copy(update={"gateway": str(ip_network(pool.subnet, strict=False)[1])})
