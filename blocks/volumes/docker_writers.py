"""Containers that write to managed volumes are made to wait by pausing them: they lose no write, and no connection."""

from __future__ import annotations

import json
from collections.abc import Sequence

from docker.errors import APIError, NotFound

from stampede.blocks.docker.client import Client, daemon_errors
from stampede.blocks.sealed_files import write_whole
from stampede.places import Places


class DockerWriters:
    """See guard.Writers. Which containers it has paused is kept in a file, so that one a person paused stays so."""

    def __init__(self, places: Places, client: Client) -> None:
        self._client, self._note = client, places.state / "paused-writers.json"

    def hold(self, volumes: Sequence[str]) -> tuple[str, ...]:
        if not volumes:
            return ()  # a filter for nothing finds everything
        with daemon_errors("list containers that write to volumes"):
            filters = {"volume": list(volumes), "status": ["running"]}
            running = {one["Id"]: one["Names"][0].lstrip("/") for one in self._client.api.containers(filters=filters)}
        if not running:
            return ()
        self._keep({**self._kept(), **running})  # before, so that none is paused that nobody lets go
        for container, name in running.items():
            self._do("pause", container, name)
        return tuple(sorted(running.values()))

    def let_go(self) -> tuple[str, ...]:
        held = self._kept()
        for container, name in held.items():
            self._do("unpause", container, name)
        if held:
            self._keep({})
        return tuple(sorted(held.values()))

    def _do(self, verb: str, container: str, name: str) -> None:
        with daemon_errors(f"{verb} {name}"):
            try:
                getattr(self._client.api, verb)(container)
            except NotFound:
                return  # it was removed meanwhile
            except APIError as error:
                if not any(word in str(error).lower() for word in ("already paused", "not paused", "not running")):
                    raise

    def _kept(self) -> dict[str, str]:
        return dict(json.loads(self._note.read_bytes())) if self._note.exists() else {}

    def _keep(self, held: dict[str, str]) -> None:
        if held:
            write_whole(self._note, json.dumps(held, indent=1).encode(), mode=0o600)
        else:
            self._note.unlink(missing_ok=True)
