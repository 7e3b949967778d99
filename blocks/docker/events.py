"""What happens to containers of ours, as Docker tells it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stampede.blocks.docker.client import Client, close_stream, daemon_errors
from stampede.errors import DaemonUnavailable
from stampede.frozen import Frozen
from stampede.planning import identity

_INTERESTING = ("create", "start", "die", "stop", "kill", "oom", "destroy", "pause", "unpause", "health_status")


class Event(Frozen):
    """One change of one container. `action` is Docker's word; health changes are `health_status: healthy`."""

    action: str
    container: str
    stack: str
    service: str
    slot: int
    exit_code: int | None = None
    at: datetime


def read_event(said: dict[str, Any]) -> Event:
    """A message of GET /events."""
    actor = said["Actor"]
    attributes: dict[str, str] = actor["Attributes"]
    code = attributes.get("exitCode")
    return Event(
        action=said["Action"],
        container=actor["ID"],
        stack=attributes.get(identity.STACK, ""),
        service=attributes.get(identity.SERVICE, ""),
        slot=int(attributes.get(identity.SLOT, "0")),
        exit_code=None if code is None else int(code),
        at=datetime.fromtimestamp(said["timeNano"] / 1e9, UTC),
    )


def events(client: Client, cluster: str, since: datetime | None) -> Iterator[Event]:
    """See contract.Docker.events."""
    filters = {"type": "container", "label": f"{identity.CLUSTER}={cluster}", "event": list(_INTERESTING)}
    with daemon_errors("tell what happens"):
        stream = client.api.events(since=since and since.timestamp(), filters=filters, decode=True)
        try:
            for said in stream:
                yield read_event(said)
        finally:
            close_stream(stream)
    raise DaemonUnavailable("Docker stopped telling what happens", "is dockerd being restarted?")


def first_exit_code(client: Client, container: str, since: datetime) -> int | None:
    """With which code it first ended after `since`, or None if the daemon's short memory does not hold that."""
    filters = {"container": container, "event": "die"}
    with daemon_errors(f"tell how {container[:12]} ended"):
        now = datetime.now(UTC).timestamp()
        stream = client.api.events(since=since.timestamp(), until=now, filters=filters, decode=True)
        codes = [read_event(said).exit_code for said in stream]
    return next((code for code in codes if code is not None), None)
