"""From a revision to the instances it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from stampede.documents import Revision
from stampede.errors import UnknownName
from stampede.planning.dependencies import levels, shares_with
from stampede.planning.instances import Instance, MountedFile
from stampede.planning.placement import Slot
from stampede.planning.spec_hash import keyed_digest, spec_hash
from stampede.stackfile.models import Attachment, Document, FileRef, Service, Stack


def expand(revision: Revision, homes: Mapping[Slot, str]) -> tuple[Instance, ...]:
    """Every instance that `revision` asks for, each at its home host. Pure: the same on every host.

    Raises: UnknownName for a service without an image, StackFileError when services depend on each other in a circle.
    """
    stack, hashes = revision.definition, dict[str, str]()
    instances: dict[str, list[Instance]] = {}
    for name in chain(*levels(stack.services)):
        instances[name] = _instances_of(revision, stack, name, homes, hashes)
    return tuple(instance for name in stack.services for instance in instances[name])


def _instances_of(
    revision: Revision, stack: Stack, name: str, homes: Mapping[Slot, str], hashes: dict[str, str]
) -> list[Instance]:
    """`hashes` holds those of the services before it, and afterwards its own."""
    service = stack.services[name]
    image = revision.images.get(name)
    if image is None:
        raise UnknownName(f"revision {revision.number} of {stack.name} has no image for {name}")
    networks = _networks(stack, service)
    volumes = {
        mount.source: stack.volumes[mount.source].name
        for mount in service.volumes
        if mount.type == "volume" and mount.source in stack.volumes
    }
    files = tuple(
        [_file("config", ref, stack.configs, revision.salt) for ref in service.configs]
        + [_file("secret", ref, stack.secrets, revision.salt) for ref in service.secrets]
    )
    shared = {other: hashes[other] for other in shares_with(service) if other in hashes}
    digest = spec_hash(service, image, networks, volumes, files, revision.salt, shared)
    hashes[name] = digest
    return [
        Instance(
            stack=stack.name,
            service=name,
            slot=number,
            host=host,
            revision=revision.number,
            spec=service,
            image=image,
            networks=networks,
            volumes=volumes,
            files=files,
            spec_hash=digest,
        )
        for (of, number), host in homes.items()
        if of == name
    ]


def _networks(stack: Stack, service: Service) -> dict[str, Attachment]:
    """By Docker's names. A service answers to its own name on each, as Compose has it."""
    return {stack.networks[name].name: attachment for name, attachment in service.networks.items()}


def _file(kind: str, ref: FileRef, documents: Mapping[str, Document], salt: str) -> MountedFile:
    default = f"/run/secrets/{ref.source}" if kind == "secret" else f"/{ref.source}"
    target = ref.target or default
    return MountedFile(
        kind="secret" if kind == "secret" else "config",
        source=ref.source,
        digest=keyed_digest(documents[ref.source].content, salt, size=16),
        target=target if target.startswith("/") else f"/run/secrets/{target}",
        uid=int(ref.uid or 0),
        gid=int(ref.gid or 0),
        mode=0o444 if ref.mode is None else ref.mode,
    )
