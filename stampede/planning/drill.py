"""The app of a drill: the services that use restored volumes, shut off from everything that is real. Pure.

A restored worker must not mail customers, and must not write where the real one does. So it gets one network without a
way out, the host included, no name server but the network's own, no published ports, no bind mount that it could write
to, no namespace of the host, and volumes of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from stampede.documents import Revision
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


def _network(scratch: str) -> dict[str, Any]:
    """A bridge that the host has no address on, behind Docker's rules that let nothing out."""
    options = {"com.docker.network.bridge.inhibit_ipv4": "true"}
    return {"name": f"{scratch}_{_NETWORK}", "internal": True, "driver_opts": options}


def _service(service: dict[str, Any], volumes: Collection[str], chosen: Collection[str]) -> dict[str, Any]:
    kept = {key: value for key, value in service.items() if key not in _DROPPED}
    deploy = {key: value for key, value in (service.get("deploy") or {}).items() if key == "resources"}
    needed = {name: how for name, how in (service.get("depends_on") or {}).items() if name in chosen}
    return {
        **kept,
        "deploy": {**deploy, "replicas": 1, "restart_policy": {"condition": "none"}},
        "depends_on": needed,
        "networks": {_NETWORK: None},
        "dns": [NOWHERE],
        "volumes": [_mount(mount, volumes) for mount in service.get("volumes") or ()],
    }


def _mount(mount: dict[str, Any], volumes: Collection[str]) -> dict[str, Any]:
    if mount.get("type") == "bind":
        return {**mount, "read_only": True, "bind": {**(mount.get("bind") or {}), "create_host_path": False}}
    if mount.get("type") == "volume" and mount.get("source") not in volumes:
        return {key: value for key, value in mount.items() if key != "source"}
    return mount
