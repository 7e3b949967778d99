"""What stands in the way of a plan: things that belong to somebody else, which are never touched."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from stampede.errors import Foreign, NeedsAdoption, Refused
from stampede.planning.found import FoundHost, FoundNetwork
from stampede.planning.instances import Instance
from stampede.stackfile.models import Stack


def refuse_obstacles(wanted: Stack, instances: Sequence[Instance], hosts: Sequence[FoundHost]) -> None:
    """Returns if nothing is in the way.

    Raises: NeedsAdoption if a Compose project of this name runs or has left something there, Foreign if a container
    name is taken, Refused if a network would have to be made anew under the instances that are on it.
    """
    names = {instance.name: instance for instance in instances}
    for host in hosts:
        project = [f.name for f in host.foreign if f.compose_project == wanted.name and f.state == "running"]
        if project:
            raise NeedsAdoption(
                f"a Compose project {wanted.name} runs on {host.host}: {', '.join(sorted(project))}",
                "stampede adopt takes it over and shows the plan first",
            )
        named = {v.name for v in wanted.volumes.values() if not v.external} & set(host.project_volumes)
        named |= {n.name for n in wanted.networks.values() if not n.external} & set(host.project_networks)
        if named:
            raise NeedsAdoption(
                f"docker compose made {', '.join(sorted(named))} on {host.host} for a project {wanted.name}",
                "stampede adopt takes it over and shows the plan first",
            )
        for foreign in host.foreign:
            if foreign.name in names:
                raise Foreign(
                    f"service {names[foreign.name].service}: the name {foreign.name} belongs to a container on"
                    f" {host.host} that Stampede did not make",
                    "rename or remove that container, or change container_name",
                )
        for network in host.networks:
            if network.stack == wanted.name and (why := _made_otherwise(network, wanted)):
                raise Refused(
                    f"network {network.name} on {host.host} {why}, which cannot be changed while it is in use",
                    f"`stampede down -p {wanted.name}` first, then `stampede up`; volumes stay",
                )


def _made_otherwise(found: FoundNetwork, wanted: Stack) -> str:
    """How a network differs from what the file says; empty if it does not, or no service of the file is on it."""
    said = next((n for n in wanted.networks.values() if n.name == found.name and not n.external), None)
    if said is None:
        return ""
    if said.internal != found.internal:
        return f"is {'internal' if found.internal else 'not internal'}, and the file says otherwise"
    subnets = [pool.subnet for pool in said.ipam.config if pool.subnet and ":" not in pool.subnet]
    if subnets and found.subnet and ip_network(subnets[0], strict=False) != ip_network(found.subnet, strict=False):
        return f"has the subnet {found.subnet}, and the file says {subnets[0]}"
    return ""
