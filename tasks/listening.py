"""What a roll-out does with the balancer of its host, on behalf of a change."""

from __future__ import annotations

from stampede.balancer.ports import is_balanced, wanted_ports
from stampede.containers.networking import ordered_networks
from stampede.errors import DaemonError
from stampede.planning.found import FoundInstance
from stampede.planning.instances import Instance
from stampede.planning.listening import Listening, kept_ports
from stampede.stackfile.models import Stack
from stampede.tasks import balancer
from stampede.tasks.mandate import Mandate
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


async def ensure_listening(mandate: Mandate, wanted: Stack | None, listening: Listening) -> None:
    """Afterwards this host publishes what `wanted` says (nothing if None), and who joins and leaves has done so.

    A balancer that somebody has stopped runs again. Ports that were chosen before are kept.
    Raises: PortTaken, Foreign, DaemonError when HAProxy refuses, Fenced.
    """
    if listening.is_right:
        return
    mandate.check()
    haproxy = this_host().haproxy
    if listening.closed or listening.leaving:
        await balancer.ensure_balancer(haproxy)
    for member in listening.leaving:
        await balancer.take_out_of_service(haproxy, mandate.stack, member.service, member.name)
    if listening.added or listening.removed:
        ports = wanted_ports(wanted.name, wanted.services) if wanted else ()
        kept = kept_ports(ports, await in_thread(haproxy.desired, mandate.stack))
        await balancer.ensure_listeners(haproxy, mandate.stack, ports, kept)
    for member in listening.joining:
        found = await in_thread(this_host().docker.containers.look, member.name)
        if found and (address := _address(found, sorted(found.addresses))):
            await balancer.put_in_service(haproxy, mandate.stack, member.service, member.name, address)


async def put_in_service(mandate: Mandate, instance: Instance, container: str) -> None:
    """Afterwards the balancer sends it traffic, if the service publishes ports that are balanced.

    `container` is the instance's, or an older one of its slot.
    """
    if not any(is_balanced(instance.spec, port) for port in instance.spec.ports):
        return
    mandate.check()
    found = await in_thread(this_host().docker.containers.look, container)
    address = _address(found, [*ordered_networks(instance), *sorted(found.addresses)]) if found else ""
    if found is None or not address:
        raise DaemonError(f"{instance.label} has no address at which the balancer could reach it")
    await balancer.put_in_service(this_host().haproxy, mandate.stack, instance.service, found.name, address)


async def take_out_of_service(mandate: Mandate, service: str, name: str) -> None:
    """Afterwards the balancer does not know it, and its connections have ended or were cut at the drain limit."""
    desired = await in_thread(this_host().haproxy.desired, mandate.stack)
    if desired.server(service, name) is None:
        return
    mandate.check()
    await balancer.take_out_of_service(this_host().haproxy, mandate.stack, service, name)


def _address(found: FoundInstance, networks: list[str]) -> str:
    return next((found.addresses[name] for name in networks if found.addresses.get(name)), "")
