"""Networks of stacks on a Docker daemon. The promises are in contract.Networks."""

from __future__ import annotations

import json
from typing import Any

from docker.errors import APIError, NotFound

from stampede import programs
from stampede.blocks.docker.client import Client, daemon_errors
from stampede.blocks.docker.reading import network_of, used_addresses
from stampede.containers.network_body import network_body
from stampede.errors import DaemonError, Foreign, Transient
from stampede.planning import identity
from stampede.planning.found import FoundNetwork
from stampede.stackfile.models import Network

_IN_USE = "has active endpoints"


class DockerNetworks:
    """See contract.Networks."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ensure_network(self, network: Network, *, cluster: str, stack: str, subnet: str | None = None) -> FoundNetwork:
        there = self._inspect(network.name)
        if network.external:
            if there is None:
                raise DaemonError(
                    f"the external network {network.name} does not exist", f"docker network create {network.name}"
                )
            return network_of(there)
        if there is None:
            self._create(network_body(network, cluster=cluster, stack=stack, subnet=subnet))
            there = self._inspect(network.name)
        if there is None:
            raise DaemonError(f"network {network.name} vanished right after it was made")
        labels = there.get("Labels") or {}
        if (labels.get(identity.CLUSTER), labels.get(identity.STACK)) != (cluster, stack):
            raise Foreign(
                f"a network named {network.name} exists already and is not of stack {stack}",
                "declare it with `external: true` to use it, or give yours another name",
            )
        return network_of(there)

    def _create(self, body: dict[str, Any]) -> None:
        """One that has come up in the meantime under this name is left for the caller to judge."""
        api = self._client.api
        with daemon_errors(f"make network {body['Name']}"):
            try:
                api._raise_for_status(api._post_json(api._url("/networks/create"), body))
            except APIError as error:
                if error.status_code != 409:
                    raise

    def remove_network(self, name: str, *, cluster: str) -> None:
        there = self._inspect(name)
        if there is None:
            return
        if (there.get("Labels") or {}).get(identity.CLUSTER) != cluster:
            raise Foreign(f"network {name} was not made by this installation", "it is left alone")
        with daemon_errors(f"remove network {name}"):
            try:
                self._client.api.remove_network(there["Id"])
            except NotFound:
                return
            except APIError as error:
                if _IN_USE not in str(error.explanation):
                    raise
                # A busy daemon needs a moment to let go the endpoints of containers that have just been removed.
                raise Transient(f"network {name} is still in use", self._who_uses(name)) from error

    def _who_uses(self, name: str) -> str:
        if (self._inspect(name) or {}).get("Containers"):
            return f"docker network inspect {name} shows which containers use it"
        # Seen with dockerd 20.10 when many containers end at once; it corrects its count when it starts.
        return "no container uses it: dockerd has miscounted, which its restart mends; then run it again"

    def taken_subnets(self) -> tuple[str, ...]:
        with daemon_errors("list networks"):
            networks = self._client.api.networks()
        pools = [pool for said in networks for pool in (said.get("IPAM") or {}).get("Config") or []]
        taken = {pool["Subnet"] for pool in pools if ":" not in pool.get("Subnet", ":")}
        routes = json.loads(programs.run(["ip", "-json", "-4", "route", "show"]).out or "[]")
        taken |= {route["dst"] for route in routes if route["dst"] != "default"}
        return tuple(sorted(taken))

    def used_addresses(self, network: str) -> dict[str, str]:
        with daemon_errors(f"list containers on {network}"):
            entries = self._client.api.containers(all=True, filters={"network": network})
        return used_addresses(entries, network)

    def _inspect(self, name: str) -> dict[str, Any] | None:
        with daemon_errors(f"look at network {name}"):
            try:
                said = dict(self._client.api.inspect_network(name))
            except NotFound:
                return None
        return said if said["Name"] == name or said["Id"] == name else None
