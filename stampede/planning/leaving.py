"""Instances that no slot wants any more: when they go, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from stampede.balancer.ports import is_balanced
from stampede.planning.changes import Lane, Roll, Stage, Wave
from stampede.planning.dependencies import levels
from stampede.planning.found import FoundInstance
from stampede.planning.slots import removal
from stampede.planning.update_order import single_writer
from stampede.stackfile.models import Service, Stack

Claim = tuple[str, ...]


def leaving_stages(
    leaving: Sequence[FoundInstance], wanted: Stack | None, before: Mapping[int, Stack]
) -> tuple[list[Stage], list[Stage]]:
    """Stages before everything else, and stages after it.

    What leaves goes last, when everything new serves; only what holds a name, port, address or data that another
    service wants for itself makes room first, as a database does that got another name. When the whole stack goes,
    services stop before those they depend on.
    """
    if wanted is None:
        return [], _in_reverse(leaving, before)
    claimed = {claim for service in wanted.services.values() for claim in _claims(service)}
    first = [f for f in leaving if claimed & _claims_of(f, before)]
    later = [f for f in leaving if f not in first]
    return _stage(first, wanted), _stage(later, wanted)


def _in_reverse(leaving: Sequence[FoundInstance], before: Mapping[int, Stack]) -> list[Stage]:
    known = [f.revision for f in leaving if f.revision in before]
    services = before[max(known)].services if known else {}
    order = list(reversed(levels(services)))
    strangers = sorted({f.service for f in leaving} - services.keys())
    return [
        stage for names in (strangers, *order) for stage in _stage([f for f in leaving if f.service in names], None)
    ]


def _stage(leaving: Sequence[FoundInstance], wanted: Stack | None) -> list[Stage]:
    rolls: dict[str, list[Roll]] = defaultdict(list)
    for found in sorted(leaving, key=lambda f: (f.service, f.slot, f.name)):
        rolls[found.service].append(removal(found, _why(found, wanted)))
    lanes = tuple(Lane(service=service, waves=(Wave(rolls=tuple(of)),)) for service, of in rolls.items())
    return [Stage(lanes=lanes)] if lanes else []


def _why(found: FoundInstance, wanted: Stack | None) -> str:
    if wanted is None:
        return "the stack is removed"
    service = wanted.services.get(found.service)
    if service is None:
        return "not in the file any more"
    return "there are fewer hosts" if service.deploy.mode == "global" else f"scaled to {service.replicas}"


def _claims_of(found: FoundInstance, before: Mapping[int, Stack]) -> set[Claim]:
    stack = before.get(found.revision)
    service = stack.services.get(found.service) if stack else None
    return _claims(service) if service else set()


def _claims(service: Service) -> set[Claim]:
    """What only one container of a host can have: a name, a port that Docker publishes, an address, data to write."""
    claims: set[Claim] = {("name", service.container_name)} if service.container_name else set()
    own_ports = [port for port in service.ports if port.published and not is_balanced(service, port)]
    claims |= {("port", port.protocol, str(port.published)) for port in own_ports}
    if single_writer(service) and service.deploy.update_config.order != "start-first":
        claims |= {("data", m.source) for m in service.volumes if m.source and m.type != "tmpfs" and not m.read_only}
    claims |= {("address", name, at.ipv4_address) for name, at in service.networks.items() if at.ipv4_address}
    return claims | ({("mac", service.mac_address)} if service.mac_address else set())
