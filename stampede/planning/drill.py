"""The app of a drill: the services that use restored volumes, shut off from everything that is real. Pure.

A restored worker must not mail customers, and must not write where the real one does. So it gets one network without a
way out, the host included, no name server but the network's own, no published ports, no device, no namespace of the
host, volumes of its own, logs that stay on the host, and no label that a proxy there would follow. Bind mounts are
read-only, which holds for files and directories: a socket can be talked to all the same, so a mount that has one is
left out when the host has been looked at (`without`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stampede.backup.views import BackupView
from stampede.documents import Revision
from stampede.errors import BackupError
from stampede.planning.volume_users import services_on

SUFFIX = ".drill"  # no stack of a file can be called so
NOWHERE = "192.0.2.1"  # RFC 5737: an address that no network has
_NETWORK = "isolated"
_DROPPED = (
    "ports",
    "network_mode",
    "links",
    "external_links",
    "extra_hosts",
    "container_name",
    "privileged",
    "devices",
    "device_cgroup_rules",
    "cap_add",
    "pid",
    "ipc",
    "uts",
    "userns_mode",
    "cgroup",
    "cgroup_parent",
    "mac_address",
    "restart",
    "scale",
    "gpus",
    "labels",
    "logging",
)


def scratch_name(stack: str) -> str:
    """What the stack is called while it is drilled."""
    return f"{stack}{SUFFIX}"


def drilled(revision: Revision, volumes: Collection[str], named: Collection[str] = ()) -> Revision:
    """The revision of a drill: one instance of each service that mounts these volumes (keys), or of those `named`.

    Other volumes begin empty and go with their instances. Values of the file, its secrets included, stay.
    """
    definition, scratch = revision.definition, scratch_name(revision.stack)
    names = {definition.volumes[key].name for key in volumes if key in definition.volumes}
    chosen = [name for name in services_on(definition, names) if not named or name in named]
    document = {
        **revision.document,
        "name": scratch,
        "services": {name: _service(revision.document["services"][name], volumes, chosen) for name in chosen},
        "networks": {_NETWORK: _network(scratch)},
        "volumes": {key: {"name": f"{scratch}_{key}", "x-size": "16M"} for key in volumes},
    }
    images = {name: revision.images[name] for name in chosen}
    return revision.model_copy(update={"stack": scratch, "number": 1, "document": document, "images": images})


def of_one_file(
    views: Sequence[BackupView], revision: Revision, named: Collection[str] | None
) -> tuple[tuple[BackupView, ...], tuple[str, ...]]:
    """Those backups whose volumes this revision has, and warnings that name the others.

    Raises: BackupError for one of the others that somebody `named`.
    """
    volumes = revision.definition.volumes
    gone = sorted(view.name for view in views if view.volume not in volumes)
    if named and gone:
        raise BackupError(
            f"{gone[0]} left the file before release {revision.number}, so nothing of that runs on it",
            f"stampede backup drill {gone[0]} drills it by itself, with the app as it was then",
        )
    kept = tuple(view for view in views if view.volume in volumes)
    return kept, tuple(f"{name} is not drilled: the file has no such volume any more" for name in gone)


def binds(scratch: Revision) -> tuple[str, ...]:
    """Paths of the host that the services of a drill would see."""
    mounts = (mount for service in scratch.definition.services.values() for mount in service.volumes)
    return tuple(sorted({mount.source for mount in mounts if mount.type == "bind" and mount.source}))


def without(scratch: Revision, ways_out: Mapping[str, str]) -> tuple[Revision, tuple[str, ...]]:
    """The revision without mounts of these paths, and which of which service that were, with the reasons."""
    services, left_out = dict(scratch.document["services"]), list[str]()
    for name, service in services.items():
        out = [mount for mount in service["volumes"] if mount.get("type") == "bind" and mount["source"] in ways_out]
        left_out += [f"{name}: {mount['source']}: {ways_out[mount['source']]}" for mount in out]
        services[name] = {**service, "volumes": [mount for mount in service["volumes"] if mount not in out]}
    return scratch.model_copy(update={"document": {**scratch.document, "services": services}}), tuple(left_out)


def _network(scratch: str) -> dict[str, Any]:
    """A bridge that the host has no address on, behind Docker's rules that let nothing out."""
    options = {"com.docker.network.bridge.inhibit_ipv4": "true"}
    return {"name": f"{scratch}_{_NETWORK}", "internal": True, "driver_opts": options}


def _service(service: dict[str, Any], volumes: Collection[str], chosen: Collection[str]) -> dict[str, Any]:
    kept = {key: value for key, value in service.items() if key not in _DROPPED}
    resources = (service.get("deploy") or {}).get("resources") or {}
    reservations = {key: value for key, value in (resources.get("reservations") or {}).items() if key != "devices"}
    needed = {name: how for name, how in (service.get("depends_on") or {}).items() if name in chosen}
    return {
        **kept,
        "logging": {"driver": "local"},
        "deploy": {
            "resources": {**resources, "reservations": reservations},
            "replicas": 1,
            "restart_policy": {"condition": "none"},
        },
        "depends_on": needed,
        "networks": {_NETWORK: None},
        "dns": [NOWHERE],
        "volumes": [_mount(mount, volumes) for mount in service.get("volumes") or ()],
    }


def _mount(mount: dict[str, Any], volumes: Collection[str]) -> dict[str, Any]:
    if mount.get("type") == "bind":
        # What is mounted below it stays away: before Docker 25 that would be there to be written to.
        return {**mount, "read_only": True, "bind": {"create_host_path": False, "recursive": "disabled"}}
    if mount.get("type") == "volume" and mount.get("source") not in volumes:
        return {key: value for key, value in mount.items() if key != "source"}
    return mount
