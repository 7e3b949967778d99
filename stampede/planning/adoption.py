"""Taking over a Compose project: what of it makes way, what is used from then on, and what is kept to go back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stampede.errors import Foreign
from stampede.frozen import Frozen
from stampede.planning.changes import Action, Change, Plan
from stampede.planning.found import ForeignContainer, FoundHost, FoundVolume
from stampede.stackfile.models import Stack

PROJECT = "com.docker.compose.project"
SET_ASIDE = "-before-adoption"


class ComposeProject(Frozen):
    """What Docker has of a project on one host.

    `anonymous` maps containers to targets of volumes without a name, `guests` networks to running containers on them
    that are not of the project.
    """

    name: str
    containers: tuple[ForeignContainer, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    anonymous: dict[str, tuple[str, ...]] = {}
    guests: dict[str, tuple[str, ...]] = {}


class Takeover(Frozen):
    """What is to be done on one host before the stack can start there. `containers` are ids by name."""

    containers: dict[str, str] = {}
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == Takeover()


def set_aside_name(name: str) -> str:
    """What an original is called from its adoption on."""
    return f"{name}{SET_ASIDE}"


def takeover_of(project: ComposeProject, wanted: Stack, found: FoundHost) -> Takeover:
    """What is left to do; nothing when the project was taken over before.

    Volumes that the stack file names are used as they are. Volumes that it does not name are left alone.
    Raises: Foreign if somebody else's container is on a network of the project, which therefore cannot make way.
    """
    for network, guests in sorted(project.guests.items()):
        raise Foreign(
            f"{', '.join(guests)} on {found.host} uses network {network}, but is not of the project {project.name}",
            f"disconnect it first: docker network disconnect {network} {guests[0]}; connect it again afterwards",
        )
    named = {volume.name for volume in wanted.volumes.values() if not volume.external}
    ours = {volume.name for volume in found.volumes}
    return Takeover(
        containers={c.name: c.id for c in project.containers if SET_ASIDE not in c.name or c.state == "running"},
        networks=project.networks,
        volumes=tuple(sorted(named & set(project.volumes) - ours)),
    )


def after_takeover(found: FoundHost, takeover: Takeover, stack: str) -> FoundHost:
    """The host as it will be once the takeover is done: what a plan has to go by."""
    gone = set(takeover.containers.values())
    taken = tuple(FoundVolume(name=name, stack=stack, adopted=True) for name in takeover.volumes)
    return found.model_copy(
        update={
            "foreign": tuple(container for container in found.foreign if container.id not in gone),
            "taken": tuple(port for port in found.taken if port.container not in gone),
            "volumes": (*found.volumes, *taken),
            "project_networks": (),
            "other_networks": tuple(name for name in found.other_networks if name not in takeover.networks),
            "project_volumes": tuple(name for name in found.project_volumes if name not in takeover.volumes),
        }
    )


def with_takeovers(plan: Plan, takeovers: Mapping[str, Takeover], projects: Sequence[ComposeProject]) -> Plan:
    """The same plan, with what is done before it in front, and warnings of what people must know before they agree."""
    changes = [change for host, takeover in sorted(takeovers.items()) for change in _changes(host, takeover)]
    return plan.model_copy(
        update={
            "changes": (*changes, *plan.changes),
            "warnings": (*plan.warnings, *_warnings(plan.stack, takeovers, projects)),
        }
    )


def _changes(host: str, takeover: Takeover) -> list[Change]:
    kept = [
        Change(
            action=Action.SET_ASIDE,
            kind="instance",
            name=name,
            host=host,
            reason=f"stopped for good and kept as {name if SET_ASIDE in name else set_aside_name(name)}",
        )
        for name in sorted(takeover.containers)
    ]
    volumes = [
        Change(action=Action.ADOPT, kind="volume", name=name, host=host, reason="used as it is, with its data")
        for name in takeover.volumes
    ]
    networks = [
        Change(action=Action.REPLACE, kind="network", name=name, host=host, reason="the Compose project's makes way")
        for name in takeover.networks
    ]
    return [*volumes, *kept, *networks]


def _warnings(stack: str, takeovers: Mapping[str, Takeover], projects: Sequence[ComposeProject]) -> list[str]:
    stopping = sorted({name for takeover in takeovers.values() for name in takeover.containers})
    warnings = []
    if stopping:
        warnings.append(
            f"{stack} is down from when its {len(stopping)} containers are stopped until the new ones are healthy"
        )
    for project in projects:
        for name, targets in sorted(project.anonymous.items()):
            if name in stopping:
                warnings.append(
                    f"{name} keeps {', '.join(targets)} in a volume without a name: what is in there stays with it"
                )
    return warnings
