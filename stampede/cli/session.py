"""A client for the server that a command shall talk to: a named one, one behind ssh, or this machine's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stampede.cli import lean_httpx  # noqa: F401  first, so that what follows finds httpx imported the quick way
from stampede.cli.tunnel import open_tunnel
from stampede.client import Client
from stampede.places import Places

AUTH_VARIABLE = "STAMPEDE_AUTH"


@contextmanager
def open_client(server: str | None) -> Iterator[Client]:
    """A client for `server`; without one, for the control plane of this machine, which is started if need be.

    Raises: BadInput for an address that is none, also an empty one; ServerUnreachable.
    """
    if server is not None and server.startswith("ssh://"):
        with open_tunnel(server) as (url, auth), Client(url, auth) as client:
            yield client
    elif server is not None:
        with Client(server, os.environ.get(AUTH_VARIABLE, "")) as client:
            yield client
    else:
        url, auth = _own_control_plane()
        with Client(url, auth) as client:
            yield client


def say(line: str) -> None:
    """Tell the person in front of it what is going on, on stderr."""
    print(line, file=sys.stderr, flush=True)


def _own_control_plane() -> tuple[str, str]:
    from stampede import control_plane

    places = Places.of_environment()
    if not control_plane.status(places).healthy:
        control_plane.start(places, progress=say)
    return control_plane.connect(places)
