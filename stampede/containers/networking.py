"""How a container is attached to its networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stampede.containers.traits import Traits
from stampede.planning.instances import Instance

_SERVICE = "service:"
_MAC_PER_ENDPOINT = (1, 44)


def ordered_networks(instance: Instance) -> list[str]:
    """Docker's names of its networks in the order of connecting: by `priority`, name.

    Docker itself chooses which of several is the gateway.
    """
    if instance.spec.network_mode:
        return []
    return sorted(
        instance.networks,
        key=lambda name: (
            -(instance.networks[name].priority or 0),
            name,
        ),
    )


def networks_of_create(instance: Instance, traits: Traits) -> list[str]:
    """Those that it is on when it is made: the first, and those on which it has a MAC address of its own.

    Docker 26 takes such an address only then, and leaves it out when a network is connected later.
    """
    first, *others = ordered_networks(instance) or [""]
    own = [name for name in others if instance.networks[name].mac_address and traits.api >= _MAC_PER_ENDPOINT]
    return [first, *own] if first else []


def shared_namespace(mode: str | None, container_of_service: Mapping[str, str]) -> str | None:
    """`service:x` becomes `container:<id>`; everything else stays. Raises KeyError for a service without container."""
    if mode is None or not mode.startswith(_SERVICE):
        return mode
    return f"container:{container_of_service[mode.removeprefix(_SERVICE)]}"


def network_mode(instance: Instance, container_of_service: Mapping[str, str]) -> str:
    """HostConfig.NetworkMode: what the file says, else the first network, else none."""
    shared = shared_namespace(instance.spec.network_mode, container_of_service)
    return shared or next(iter(ordered_networks(instance)), "none")


def endpoint(instance: Instance, network: str, address: str | None, traits: Traits) -> dict[str, Any]:
    """The endpoint configuration on one network: our address, and the names under which others find the instance.

    Those are the service's name, the instance's (`shop-web-2`, the same for every spec it ever has) and the file's
    aliases. Several instances share them; Docker's resolver answers with all.
    """
    attachment = instance.networks[network]
    names = dict.fromkeys((instance.service, instance.label, *attachment.aliases))
    rendered: dict[str, Any] = {"Aliases": list(names)}
    wanted = attachment.ipv4_address or address
    if wanted:
        rendered["IPAMConfig"] = {"IPv4Address": wanted}
    if attachment.driver_opts:
        rendered["DriverOpts"] = dict(attachment.driver_opts)
    mac = mac_address(instance, network)
    if mac and traits.api >= _MAC_PER_ENDPOINT:
        rendered["MacAddress"] = mac
    return rendered


def mac_address(instance: Instance, network: str) -> str | None:
    """The MAC address that the file asks for on a network; the service's own goes to the first one."""
    said = instance.networks[network].mac_address
    if said or network != next(iter(ordered_networks(instance)), None):
        return said
    return instance.spec.mac_address
