"""What an ejection changes, in lines for people, and what they must know before they agree."""

from __future__ import annotations

from collections.abc import Iterator

from stampede.documents import Revision
from stampede.ejection.compose_file import ejected_files
from stampede.ejection.decision import left_behind
from stampede.ejection.models import Ejection
from stampede.planning.changes import Action, Change, Plan
from stampede.planning.found import FoundHost, FoundInstance
from stampede.stackfile.models import Stack


def plan_ejection(revision: Revision, ejection: Ejection, found: FoundHost) -> Plan:
    """The whole of it as changes with reasons."""
    definition = revision.definition
    return Plan(
        stack=ejection.stack,
        changes=(
            *_files(revision, ejection, found.host),
            *(_of_instance(instance, ejection, found.host) for instance in found.instances),
            *_of_volumes(ejection, found),
            *_of_networks(definition, found),
            *_of_listeners(found),
        ),
        warnings=tuple(_warnings(revision, ejection, found)),
    )


def _files(revision: Revision, ejection: Ejection, host: str) -> Iterator[Change]:
    yield Change(
        action=Action.CREATE,
        kind="file",
        name=ejection.compose_file,
        host=host,
        reason="what docker compose goes by from then on",
    )
    for file in ejected_files(revision):
        name = f"{ejection.directory}/{file.path}"
        yield Change(action=Action.CREATE, kind="file", name=name, host=host, reason="it is mounted from there")


def _of_instance(instance: FoundInstance, ejection: Ejection, host: str) -> Change:
    if instance.service in ejection.single and instance.slot > 1:
        reason, action = "a published port belongs to one container from then on", Action.REMOVE
    else:
        reason, action = "it is stopped, and docker compose starts one of its own", Action.EJECT
    return Change(action=action, kind="instance", name=instance.label, host=host, reason=reason)


def _of_volumes(ejection: Ejection, found: FoundHost) -> Iterator[Change]:
    there = {volume.name for volume in found.volumes}
    for name, copy in sorted(ejection.copies.items()):
        reason = f"its data is copied to {copy}, a volume of Docker's own; the original stays in the pool"
        yield Change(action=Action.EJECT, kind="volume", name=name, host=found.host, reason=reason)
    for name in sorted({*ejection.volumes.values()} & there - ejection.copies.keys()):
        reason = "used as it is; docker compose never removes it"
        yield Change(action=Action.EJECT, kind="volume", name=name, host=found.host, reason=reason)


def _of_networks(definition: Stack, found: FoundHost) -> Iterator[Change]:
    for network in found.networks:
        if network.stack == definition.name:
            reason = "docker compose makes its own of that name"
            yield Change(action=Action.REPLACE, kind="network", name=network.name, host=found.host, reason=reason)


def _of_listeners(found: FoundHost) -> Iterator[Change]:
    for listener in found.balanced.listeners if found.balanced else ():
        name = f"{listener.service} {listener.bind}"
        reason = "Docker publishes the port, without the balancer"
        yield Change(action=Action.REMOVE, kind="listener", name=name, host=found.host, reason=reason)


def _warnings(revision: Revision, ejection: Ejection, found: FoundHost) -> Iterator[str]:
    stack, count = ejection.stack, len(found.instances)
    yield f"{stack} is down from when its {count} containers are stopped until those of docker compose are healthy"
    yield f"Stampede knows nothing of {stack} afterwards: no balancing, no updates without a gap, no `stampede` command"
    if secrets := sorted(file.path for file in ejected_files(revision) if file.path.startswith("secrets/")):
        yield f"{', '.join(secrets)} in {ejection.directory} hold secrets in the clear; only root can enter it"
    if ejection.copies:
        yield f"no snapshots and backups are taken of {', '.join(sorted(ejection.copies))} afterwards"
    for name in ejection.single:
        yield f"{name} goes on with one replica instead of {revision.definition.services[name].replicas}"
    for name in ejection.jobs:
        yield f"{name} runs once more: docker compose does not know that it has ended"
    for label, volumes in left_behind(ejection, found).items():
        yield f"{label} leaves volumes without a name, which stay: docker volume rm {' '.join(volumes)} removes them"
