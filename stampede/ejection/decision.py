"""What becomes of each service, port and volume when a stack leaves Stampede, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stampede.balancer.listeners import BalancedStack
from stampede.balancer.ports import is_balanced, wanted_port, wanted_ports
from stampede.containers.ports import docker_publishes, left_to_choose
from stampede.ejection.models import COPY, Ejection, EjectionSite
from stampede.errors import BadInput, Foreign, Refused
from stampede.planning.adoption import SET_ASIDE as BEFORE_ADOPTION
from stampede.planning.dependencies import must_complete
from stampede.planning.found import FoundHost, FoundInstance
from stampede.planning.listening import kept_ports
from stampede.stackfile.models import Service, Stack


def decide_ejection(
    definition: Stack, revision: int, directory: str, found: FoundHost, site: EjectionSite, *, to_one: bool
) -> Ejection:
    """How the stack, as this host runs it, becomes a Compose project. `to_one` allows to end replicas.

    Raises: Refused where several replicas share a published port, where the directory holds something else, or where
    containers of a Compose project of this name are left.
    """
    _refuse_what_is_there(definition.name, directory, found, site)
    single = shared_ports(definition)
    if single and not to_one:
        raise Refused(
            f"{_several(definition, single)}: without the balancer a published port belongs to one container",
            "--replicas-to-one goes on with one replica of each; or publish no port of these services",
        )
    here = [instance for instance in found.instances if instance.stack == definition.name]
    carried = {name: _carried(name, definition, single, here) for name in definition.services}
    mounted = {mount.source for service in definition.services.values() for mount in service.volumes}
    used = {volume.name for key, volume in definition.volumes.items() if key in mounted}
    copies = {v.name: f"{v.name}{COPY}" for v in found.volumes if v.managed and v.name in used}
    return Ejection(
        stack=definition.name,
        revision=revision,
        directory=directory,
        images=site.images,
        single=single,
        jobs=_jobs(definition, here),
        ports=_chosen_ports(definition, single, here, found.balanced or BalancedStack(stack=definition.name)),
        anonymous={name: volumes for name, volumes in carried.items() if volumes},
        volumes={
            key: copies.get(volume.name, volume.name) for key, volume in definition.volumes.items() if key in mounted
        },
        copies=copies,
        decided=site.now,
        traits=site.traits,
    )


def go_on_with(begun: Ejection, directory: str) -> Ejection:
    """What an interrupted ejection decided. Raises: BadInput if it went elsewhere."""
    if begun.directory != directory:
        raise BadInput(
            f"{begun.stack} is being ejected to {begun.directory} already, not to {directory}",
            f"--to {begun.directory} goes on there; `stampede up` goes back",
        )
    return begun


def shared_ports(definition: Stack) -> tuple[str, ...]:
    """Services of which several replicas serve one published port."""
    return tuple(
        name
        for name, service in definition.services.items()
        if service.replicas > 1 and any(is_balanced(service, port) for port in service.ports)
    )


def left_behind(ejection: Ejection, found: FoundHost) -> dict[str, tuple[str, ...]]:
    """By label of the instance: its volumes without a name that do not go along, because replicas cannot name them."""
    left = {}
    for instance in found.instances:
        along = set(ejection.anonymous.get(instance.service, {}).values())
        if others := tuple(sorted(set(instance.anonymous_volumes.values()) - along)):
            left[instance.label] = others
    return left


def _refuse_what_is_there(stack: str, directory: str, found: FoundHost, site: EjectionSite) -> None:
    if site.in_the_way:
        raise Refused(f"{directory} on {found.host} {site.in_the_way}", "--to names another directory, or an empty one")
    if there := [container.name for container in site.project.containers]:
        originals = any(BEFORE_ADOPTION in name for name in there)
        what = "the originals of its adoption, which docker compose would take for its own" if originals else "not ours"
        raise Foreign(
            f"containers of a Compose project {stack} are on {found.host}: {', '.join(there)} ({what})",
            f"remove them first: docker rm {' '.join(there)}",
        )


def _several(definition: Stack, services: Sequence[str]) -> str:
    return ", ".join(f"{name} has {definition.services[name].replicas} replicas behind one port" for name in services)


def _jobs(definition: Stack, here: Sequence[FoundInstance]) -> tuple[str, ...]:
    """Those that others wait for to end, and those that have ended well everywhere."""
    ended = {
        name: [i.state == "exited" and i.exit_code == 0 for i in here if i.service == name]
        for name in definition.services
    }
    completing = must_complete(definition.services)
    return tuple(name for name in definition.services if name in completing or (ended[name] and all(ended[name])))


def _carried(name: str, definition: Stack, single: Sequence[str], here: Sequence[FoundInstance]) -> dict[str, str]:
    """By target: volumes without a name of a service that has one replica from then on."""
    if name not in single and definition.services[name].replicas != 1:
        return {}
    first = [instance for instance in here if instance.service == name and instance.slot == 1]
    return first[0].anonymous_volumes if first else {}


def _chosen_ports(
    definition: Stack, single: Sequence[str], here: Sequence[FoundInstance], balanced: BalancedStack
) -> dict[str, dict[int, int]]:
    """The host ports that were chosen, so that they stay. Docker chooses for each of several replicas."""
    served = kept_ports(wanted_ports(definition.name, definition.services), balanced)
    chosen: dict[str, dict[int, int]] = {}
    for name, service in definition.services.items():
        if service.replicas != 1 and name not in single:
            continue
        own = next((instance.ports for instance in here if instance.service == name and instance.slot == 1), {})
        found = _by_place(service, _balanced_keys(definition, name), served) | _published_by_docker(service, own)
        if found:
            chosen[name] = found
    return chosen


def _balanced_keys(definition: Stack, name: str) -> list[str]:
    """In the order of the file."""
    return [port.key for port in wanted_ports(definition.name, definition.services) if port.service == name]


def _by_place(service: Service, keys: Sequence[str], served: Mapping[str, int]) -> dict[int, int]:
    places = [at for at, port in enumerate(service.ports) if is_balanced(service, port)]
    return {at: served[key] for at, key in zip(places, keys, strict=True) if key in served}


def _published_by_docker(service: Service, own: Mapping[str, int]) -> dict[int, int]:
    open_ports = [
        at
        for at, port in enumerate(service.ports)
        if docker_publishes(port) and wanted_port("", "", port, "").fixed is None
    ]
    return {at: own[key] for at, key in zip(open_ports, left_to_choose(service), strict=True) if key in own}
