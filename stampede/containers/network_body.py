"""The body of Docker's create call for a network of a stack. Pure."""

from __future__ import annotations

from typing import Any

from stampede.planning import identity
from stampede.planning.network_traits import pools_of, traits_label
from stampede.stackfile.models import IpamConfig, Network


def network_body(network: Network, *, cluster: str, stack: str, subnet: str | None) -> dict[str, Any]:
    """What POST /networks/create takes: a bridge unless the file names another driver.

    The file's subnets win over `subnet`; the gateway is the first address of a subnet unless the file names one.
    """
    pools = pools_of(network, subnet)
    body: dict[str, Any] = {
        "Name": network.name,
        "CheckDuplicate": True,
        "Driver": network.driver or "bridge",
        "Options": dict(network.driver_opts),
        "Internal": network.internal,
        "Attachable": network.attachable,
        "EnableIPv6": bool(network.enable_ipv6),
        "Labels": {
            **network.labels,
            identity.CLUSTER: cluster,
            identity.STACK: stack,
            identity.NETWORK: traits_label(network, subnet),
        },
    }
    if pools or network.ipam.driver:
        body["IPAM"] = {
            "Driver": network.ipam.driver or "default",
            "Config": [_pool(pool) for pool in pools],
            "Options": dict(network.ipam.options),
        }
    return body


def _pool(pool: IpamConfig) -> dict[str, Any]:
    said = {
        "Subnet": pool.subnet,
        "Gateway": pool.gateway,
        "IPRange": pool.ip_range,
        "AuxiliaryAddresses": dict(pool.aux_addresses) or None,
    }
    return {key: value for key, value in said.items() if value is not None}
