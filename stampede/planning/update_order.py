"""Start-first or stop-first: which of old and new runs while the other changes, and why.

Start-first serves without a gap. Stop-first is for what cannot exist twice: a name, a host port, an address, and data
with one writer. Two databases on one volume must never happen unless the file asks for it in so many words.
"""

from __future__ import annotations

from collections.abc import Iterable

from stampede.balancer.ports import is_balanced
from stampede.planning.changes import Order
from stampede.planning.instances import Instance
from stampede.stackfile.models import Service, Stack


def update_order(service: Service, *, carries_anonymous: bool) -> tuple[Order, str, str]:
    """The order, the reason for it (empty for the plain start-first), and a warning (usually empty)."""
    asked = service.deploy.update_config.order
    if obstacle := only_one_at_a_time(service):
        warning = f"order: start-first is not possible: {obstacle}" if asked == "start-first" else ""
        return "stop-first", obstacle, warning
    if asked == "stop-first":
        return "stop-first", "the file asks for it", ""
    writer = single_writer(service, carries_anonymous=carries_anonymous)
    if writer and asked == "start-first":
        return "start-first", "", f"start-first, as the file asks: {writer}, and old and new will both have it open"
    if writer:
        return "stop-first", writer, ""
    return "start-first", "", ""


def on_the_way_back(stack: Stack, instances: Iterable[Instance]) -> tuple[Stack, tuple[Instance, ...]]:
    """The same, with `rollback_config` in the place of `update_config` where the file has one."""
    services = {
        name: service.model_copy(
            update={"deploy": service.deploy.model_copy(update={"update_config": service.deploy.rollback_config})}
        )
        for name, service in stack.services.items()
        if service.deploy.rollback_config is not None
    }
    changed = stack.model_copy(update={"services": {**stack.services, **services}})
    return changed, tuple(i.model_copy(update={"spec": changed.services[i.service]}) for i in instances)


def only_one_at_a_time(service: Service) -> str:
    """Why two instances of this service cannot run on one host at once; empty if they can."""
    if service.container_name:
        return f"container_name {service.container_name} can exist once"
    if service.network_mode == "host":
        return "network_mode: host leaves one set of ports"
    for port in service.ports:
        if not is_balanced(service, port):
            kind = "mode: host" if port.mode == "host" else port.protocol
            return f"port {port.published or port.target} ({kind}) is published by the container itself"
    for network, attachment in service.networks.items():
        if attachment.ipv4_address or attachment.mac_address:
            return f"its fixed address on network {network} can exist once"
    if service.mac_address:
        return "its fixed MAC address can exist once"
    return ""


def single_writer(service: Service, *, carries_anonymous: bool = False) -> str:
    """What this service writes to, if it has one instance, which expects to be alone; empty otherwise."""
    if service.replicas > 1:
        return ""  # its instances share what they mount all the time
    for mount in service.volumes:
        if mount.type != "tmpfs" and not mount.read_only:
            return f"it writes to {mount.source or mount.target}"
    return "it writes to a volume of its image" if carries_anonymous else ""
