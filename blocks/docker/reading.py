"""What Docker says about containers, networks and volumes, as our models. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from stampede.balancer.taken import TakenPort
from stampede.planning import identity
from stampede.planning.found import (
    ForeignContainer,
    FoundInstance,
    FoundNetwork,
    FoundVolume,
    Health,
    State,
)

_ANONYMOUS_NAME = re.compile(r"[0-9a-f]{64}")
_EXIT_CODE = re.compile(r"^(?:Exited|Restarting) \((-?\d+)\)")
_FRACTION = re.compile(r"\.(\d{6})\d*")
_NEVER = "0001-01-01"


def is_ours(labels: dict[str, str] | None, cluster: str) -> bool:
    """Whether labels are those of an instance of this cluster."""
    return bool(labels) and labels is not None and labels.get(identity.CLUSTER) == cluster


def is_of(labels: dict[str, str] | None, cluster: str, stack: str | None) -> bool:
    """Whether labels are those of a network or volume of this stack, or of any of this cluster's if None."""
    said = labels or {}
    return said.get(identity.CLUSTER) == cluster and identity.STACK in said and stack in (None, said[identity.STACK])


def instance_of_list(entry: dict[str, Any], host: str) -> FoundInstance:
    """An entry of GET /containers/json. `started_at` and `restarts` are not in it."""
    status: str = entry["Status"]
    code = _EXIT_CODE.match(status)
    return FoundInstance(
        **_identity_of(entry["Labels"], entry["Image"]),
        id=entry["Id"],
        name=_name(entry),
        host=host,
        state=cast("State", entry["State"]),
        health=_health_of_status(status),
        exit_code=int(code[1]) if code else None,
        addresses=_addresses(entry["NetworkSettings"]["Networks"]),
        network_ids=_network_ids(entry["NetworkSettings"]["Networks"]),
        anonymous_volumes=_anonymous_volumes(entry["Mounts"]),
        published=_published(
            (port.get("IP", ""), port.get("PublicPort"), f"{port['PrivatePort']}/{port['Type']}")
            for port in entry.get("Ports") or ()
        ),
        created_at=datetime.fromtimestamp(entry["Created"], UTC),
    )


def instance_of_inspect(said: dict[str, Any], host: str) -> FoundInstance:
    """The answer to GET /containers/{id}/json."""
    state = said["State"]
    ended = state["Status"] in ("exited", "dead", "restarting")
    return FoundInstance(
        **_identity_of(said["Config"]["Labels"], said["Config"]["Image"]),
        id=said["Id"],
        name=said["Name"].lstrip("/"),
        host=host,
        state=cast("State", state["Status"]),
        health=_health((state.get("Health") or {}).get("Status", "none")),
        exit_code=state["ExitCode"] if ended else None,
        restarts=said.get("RestartCount", 0),
        restart_policy=said["HostConfig"]["RestartPolicy"]["Name"],
        addresses=_addresses(said["NetworkSettings"]["Networks"]),
        network_ids=_network_ids(said["NetworkSettings"]["Networks"]),
        anonymous_volumes=_anonymous_volumes(said["Mounts"]),
        published=_published(
            (end["HostIp"], end["HostPort"], target)
            for target, ends in (said["NetworkSettings"].get("Ports") or {}).items()
            for end in ends or ()
        ),
        created_at=moment(said["Created"]),
        started_at=None if state["StartedAt"].startswith(_NEVER) else moment(state["StartedAt"]),
    )


def foreign_of_list(entry: dict[str, Any]) -> ForeignContainer:
    """A container that is not ours, with its Compose project if it has one."""
    labels, code = entry["Labels"] or {}, _EXIT_CODE.match(entry["Status"])
    return ForeignContainer(
        id=entry["Id"],
        name=_name(entry),
        compose_project=labels.get("com.docker.compose.project", ""),
        compose_service=labels.get("com.docker.compose.service", ""),
        state=cast("State", entry["State"]),
        health=_health_of_status(entry["Status"]),
        exit_code=int(code[1]) if code else None,
    )


def ports_of_list(entry: dict[str, Any]) -> tuple[TakenPort, ...]:
    """The host ports that Docker publishes for a container that runs."""
    stack = (entry["Labels"] or {}).get(identity.STACK, "")
    return tuple(
        TakenPort(
            protocol=port["Type"],
            address=port.get("IP", ""),
            port=port["PublicPort"],
            holder=f"container {_name(entry)}",
            stack=stack,
            container=entry["Id"],
        )
        for port in entry.get("Ports") or ()
        if port.get("PublicPort") and port["Type"] in ("tcp", "udp")
    )


def used_addresses(entries: Iterable[dict[str, Any]], network: str) -> dict[str, str]:
    """Address to container name, of those in a list of containers that are on the network or come back to it."""
    found = ((_addresses(entry["NetworkSettings"]["Networks"]).get(network), entry) for entry in entries)
    return {address: _name(entry) for address, entry in found if address}


def network_of(said: dict[str, Any], used: Iterable[str] = ()) -> FoundNetwork:
    """An entry of GET /networks, or one inspected; `used` are the addresses that containers have on it."""
    pools = (said.get("IPAM") or {}).get("Config") or []
    return FoundNetwork(
        id=said["Id"],
        name=said["Name"],
        stack=(said.get("Labels") or {}).get(identity.STACK, ""),
        subnet=next((pool["Subnet"] for pool in pools if ":" not in pool.get("Subnet", ":")), ""),
        internal=said.get("Internal", False),
        traits=json.loads((said.get("Labels") or {}).get(identity.NETWORK, "{}")),
        used=tuple(sorted(used)),
    )


def volume_of(said: dict[str, Any]) -> FoundVolume:
    """An entry of GET /volumes, or one inspected."""
    labels = said.get("Labels") or {}
    return FoundVolume(name=said["Name"], stack=labels.get(identity.STACK, ""), managed=identity.MANAGED in labels)


def is_anonymous(volume: str) -> bool:
    """Docker names volumes that nobody named with 64 hexadecimal digits."""
    return _ANONYMOUS_NAME.fullmatch(volume) is not None


def moment(text: str) -> datetime:
    """A time as Docker writes it, with up to nine digits after the second."""
    return datetime.fromisoformat(_FRACTION.sub(r".\1", text.replace("Z", "+00:00"))).astimezone(UTC)


def _identity_of(labels: dict[str, str], image: str) -> dict[str, Any]:
    return {
        "stack": labels[identity.STACK],
        "service": labels[identity.SERVICE],
        "slot": int(labels[identity.SLOT]),
        "revision": int(labels[identity.REVISION]),
        "spec_hash": labels[identity.SPEC_HASH],
        "image": labels.get(identity.IMAGE, image),
        "image_identity": labels.get(identity.IMAGE_IDENTITY, ""),
        "ports": json.loads(labels.get(identity.PORTS, "{}")),
        "reason": labels.get(identity.REASON, ""),
        "run": labels.get(identity.RUN, ""),
    }


def _name(entry: dict[str, Any]) -> str:
    """Its own name; the others are links, with the linking container's name in front."""
    names: list[str] = [name.lstrip("/") for name in entry["Names"] or []]
    return next((name for name in names if "/" not in name), str(entry["Id"])[:12])


def _addresses(networks: dict[str, Any] | None) -> dict[str, str]:
    """By network: the address it was given for life, else the one it has now."""
    found = {}
    for name, end in (networks or {}).items():
        given = (end.get("IPAMConfig") or {}).get("IPv4Address") or end.get("IPAddress")
        if given:
            found[name] = given
    return found


def _network_ids(networks: dict[str, Any] | None) -> dict[str, str]:
    """By network: the id of the one it was put on; one that was never started may not have it yet."""
    return {name: end["NetworkID"] for name, end in (networks or {}).items() if end.get("NetworkID")}


def _published(ends: Iterable[tuple[str, object, str]]) -> tuple[str, ...]:
    """As the balancer's listeners are written: `*:8080->80`, `127.0.0.1:5353->53/udp`. Both wildcards are one."""
    return tuple(
        sorted(
            {
                f"{'*' if address in ('', '0.0.0.0', '::') else address}:{port}->{target.removesuffix('/tcp')}"
                for address, port, target in ends
                if port
            }
        )
    )


def _anonymous_volumes(mounts: list[dict[str, Any]]) -> dict[str, str]:
    return {
        mount["Destination"]: mount["Name"]
        for mount in mounts
        if mount["Type"] == "volume" and is_anonymous(mount.get("Name", ""))
    }


def _health_of_status(status: str) -> Health:
    if "(health: starting)" in status:
        return "starting"
    if "(healthy)" in status:
        return "healthy"
    return "unhealthy" if "(unhealthy)" in status else "none"


def _health(word: str) -> Health:
    return cast("Health", word) if word in ("starting", "healthy", "unhealthy") else "none"
