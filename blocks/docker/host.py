"""One Docker daemon, as the rest of Stampede sees it. The promises are in contract.Docker."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from docker.errors import NotFound

from stampede.blocks.docker.client import Client, daemon_errors
from stampede.blocks.docker.containers import DockerContainers
from stampede.blocks.docker.events import Event, events
from stampede.blocks.docker.images import DockerImages
from stampede.blocks.docker.networks import DockerNetworks
from stampede.blocks.docker.projects import DockerProjects
from stampede.blocks.docker.reading import (
    foreign_of_list,
    instance_of_inspect,
    instance_of_list,
    is_of,
    is_ours,
    network_of,
    ports_of_list,
    used_addresses,
)
from stampede.blocks.docker.volumes import DockerVolumes
from stampede.containers.traits import Traits
from stampede.planning import identity
from stampede.planning.found import FoundHost, FoundInstance

_INSPECTS_AT_ONCE = 8


class DockerHost:
    """Reached at `base_url`, or as DOCKER_HOST says, else at Docker's default socket. Threads may share it."""

    def __init__(self, base_url: str | None = None) -> None:
        self._client = Client(base_url)
        self.containers = DockerContainers(self._client)
        self.images = DockerImages(self._client)
        self.networks = DockerNetworks(self._client)
        self.volumes = DockerVolumes(self._client)
        self.projects = DockerProjects(self._client)

    @property
    def traits(self) -> Traits:
        return self._client.traits

    def found(self, host_name: str, cluster: str, stack: str | None = None, *, detail: bool = False) -> FoundHost:
        with daemon_errors("list containers"):
            entries: list[dict[str, Any]] = self._client.api.containers(all=True)
            networks: list[dict[str, Any]] = self._client.api.networks()
        ours = [entry for entry in entries if is_ours(entry["Labels"], cluster)]
        wanted = [entry for entry in ours if stack is None or entry["Labels"].get(identity.STACK) == stack]
        instances = self._details(wanted, host_name) if detail else [instance_of_list(e, host_name) for e in wanted]
        mine = [said for said in networks if is_of(said["Labels"], cluster, stack)]
        volumes, other_volumes = self.volumes.sorted_out(cluster, stack)
        return FoundHost(
            host=host_name,
            instances=tuple(sorted(instances, key=lambda found: (found.stack, found.service, found.slot, found.name))),
            networks=tuple(
                sorted(
                    (network_of(said, used_addresses(entries, said["Name"])) for said in mine),
                    key=lambda network: network.name,
                )
            ),
            volumes=volumes,
            other_networks=tuple(sorted({said["Name"] for said in networks} - {said["Name"] for said in mine})),
            other_volumes=other_volumes,
            foreign=tuple(foreign_of_list(entry) for entry in entries if not is_ours(entry["Labels"], cluster)),
            taken=tuple(port for entry in entries for port in ports_of_list(entry)),
        )

    def _details(self, entries: list[dict[str, Any]], host_name: str) -> list[FoundInstance]:
        """What is gone by the time it is asked for is left out."""

        def inspect(entry: dict[str, Any]) -> FoundInstance | None:
            with daemon_errors("look at containers"):
                try:
                    return instance_of_inspect(self._client.api.inspect_container(entry["Id"]), host_name)
                except NotFound:
                    return None

        with ThreadPoolExecutor(_INSPECTS_AT_ONCE) as pool:
            return [found for found in pool.map(inspect, entries) if found is not None]

    def events(self, cluster: str, since: datetime | None = None) -> Iterator[Event]:
        return events(self._client, cluster, since)

    def close(self) -> None:
        """Connections to the daemon are closed; the next use opens new ones."""
        self._client.close()

    def ping(self) -> None:
        with daemon_errors("answer"):
            self._client.api.ping()
