"""The stack as a Compose file that means the same to `docker compose`, and the files beside it."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from stampede.containers.log_config import log_config
from stampede.documents import Revision
from stampede.ejection.models import EjectedFile, Ejection
from stampede.planning.expansion import expand
from stampede.planning.instances import MountedFile
from stampede.stackfile.canonical import escape
from stampede.stackfile.models import Service
from stampede.stackfile.yamltext import write_yaml

Document = dict[str, Any]
_START_INTERVAL_SINCE = (1, 44)
_FOLDERS = {"config": "configs", "secret": "secrets"}
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.-]+")


def header(stack: str) -> str:
    """The first line of the file, by which it is known again."""
    return f"# Stack {stack}, ejected from Stampede: `docker compose up -d` in this directory starts it."


def compose_text(revision: Revision, ejection: Ejection) -> str:
    """The whole file. It may hold passwords in `environment`, as the stack file may."""
    return f"{header(ejection.stack)}\n{write_yaml(escape(compose_document(revision, ejection)))}"


def ejected_files(revision: Revision) -> tuple[EjectedFile, ...]:
    """Every config and secret that a service mounts, once for each owner and mode that is asked for."""
    definition = revision.definition
    sources = {"config": definition.configs, "secret": definition.secrets}
    return tuple(
        EjectedFile(
            path=f"{_FOLDERS[kind]}/{name}",
            content=sources[kind][file.source].content,
            uid=file.uid,
            gid=file.gid,
            mode=file.mode,
        )
        for (kind, name), file in _named(_mounted(revision)).items()
    )


def compose_document(revision: Revision, ejection: Ejection) -> Document:
    """The resolved stack file with what Stampede decided written into it, as plain values."""
    document, definition = revision.document, revision.definition
    mounted = _mounted(revision)
    named = _named(mounted)
    names = {_variant(file): name for (_, name), file in named.items()}
    services: Document = {}
    volumes: Document = {
        key: {"name": name, "external": True} for key, name in ejection.volumes.items() if key in definition.volumes
    }
    for name, said in document["services"].items():
        carried = ejection.anonymous.get(name, {})
        keys = {target: _key(f"{name}{target}", volumes) for target in carried}
        volumes |= {key: {"name": carried[target], "external": True} for target, key in keys.items()}
        service = {**said, **_mounts(said, keys), **_ports(said, ejection.ports.get(name, {}))}
        service |= _files(mounted[name], names) | _logging(definition.services[name], ejection)
        service |= _restart(definition.services[name], name in ejection.jobs)
        service = _replicas(_health(service, ejection), name in ejection.single)
        services[name] = _of_image(service, ejection.images[name])
    sections = {
        _FOLDERS[kind]: {n: {"file": f"./{_FOLDERS[kind]}/{n}"} for of, n in named if of == kind} for kind in _FOLDERS
    }
    kept = {key: value for key, value in document.items() if key not in ("services", "volumes", *sections)}
    written = {"services": services, "volumes": volumes, **sections}
    return {"name": ejection.stack, **kept, **{key: value for key, value in written.items() if value}}


def _mounts(said: Mapping[str, Any], keys: Mapping[str, str]) -> Document:
    """Volumes without a name get one; those that the image declares are mounted in so many words."""
    left = dict(keys)
    mounts = [
        {**mount, "source": left.pop(mount["target"])}
        if mount["type"] == "volume" and not mount.get("source") and mount["target"] in left
        else mount
        for mount in said.get("volumes") or ()
    ]
    mounts += [{"type": "volume", "source": key, "target": target} for target, key in left.items()]
    return {"volumes": mounts} if mounts else {}


def _ports(said: Mapping[str, Any], chosen: Mapping[int, int]) -> Document:
    ports = [
        {**port, "published": str(chosen[at])} if at in chosen else port
        for at, port in enumerate(said.get("ports") or ())
    ]
    return {"ports": ports} if ports else {}


def _files(files: Sequence[MountedFile], names: Mapping[tuple[str, str, int, int, int], str]) -> Document:
    """Compose mounts a file as it is, so owner and mode are those of the file, and not said here."""
    return {
        folder: [{"source": names[_variant(file)], "target": file.target} for file in of]
        for kind, folder in _FOLDERS.items()
        if (of := [file for file in files if file.kind == kind])
    }


def _restart(service: Service, job: bool) -> Document:
    """What the file says; else it comes back after a crash and at boot, as long as nobody stopped it."""
    if service.restart is not None or service.deploy.restart_policy is not None:
        return {}
    return {"restart": "on-failure" if job else "unless-stopped"}


def _logging(service: Service, ejection: Ejection) -> Document:
    """Rotated as before: Docker itself keeps output without end."""
    config = log_config(service.logging, ejection.traits.log_driver)
    return {"logging": {"driver": config["Type"], "options": config["Config"]}} if config["Config"] else {}


def _health(service: Document, ejection: Ejection) -> Document:
    """Compose refuses `start_interval` where the daemon does not know it; Stampede does such checks itself."""
    if ejection.traits.api >= _START_INTERVAL_SINCE or "healthcheck" not in service:
        return service
    check = {key: value for key, value in service["healthcheck"].items() if key != "start_interval"}
    return {**service, "healthcheck": check}


def _replicas(service: Document, single: bool) -> Document:
    if not single:
        return service
    kept = {key: value for key, value in service.items() if key != "scale"}
    return {**kept, "deploy": {**(service.get("deploy") or {}), "replicas": 1}}


def _of_image(service: Document, image: str) -> Document:
    """A service that is built stays so where its image goes by the name that a build would give it."""
    if "build" in service and service.get("image", image) == image:
        return {**service, "image": image}
    if service.get("image") == image:
        return service
    return {**{key: value for key, value in service.items() if key not in ("build", "pull_policy")}, "image": image}


def _mounted(revision: Revision) -> dict[str, tuple[MountedFile, ...]]:
    instances = expand(revision, {(name, 1): "" for name in revision.definition.services})
    return {instance.service: instance.files for instance in instances}


def _named(mounted: Mapping[str, Sequence[MountedFile]]) -> dict[tuple[str, str], MountedFile]:
    """By kind and name: the first of a source has its name, those with another owner or mode a longer one."""
    variants = {_variant(file): file for files in mounted.values() for file in files}
    files = [variants[variant] for variant in sorted(variants)]
    named: dict[tuple[str, str], MountedFile] = {}
    for file in files:
        named.setdefault((file.kind, file.source), file)
    for file in files:
        if _variant(named[file.kind, file.source]) != _variant(file):
            taken = {name for kind, name in named if kind == file.kind}
            named[file.kind, _key(f"{file.source}-{file.uid}-{file.gid}-{file.mode:o}", taken)] = file
    return named


def _variant(file: MountedFile) -> tuple[str, str, int, int, int]:
    return file.kind, file.source, file.uid, file.gid, file.mode


def _key(text: str, taken: Container[str]) -> str:
    key = _NOT_IN_KEYS.sub("-", text)
    while key in taken:
        key += "-"
    return key
