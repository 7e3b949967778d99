"""The limit: Docker's API called with the bodies that Stampede makes, and nothing else, by a number of threads."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import APIError

from benchmarks.stacks import Sleepers
from stampede.addresses import assign, network_subnet
from stampede.blocks.docker import DockerHost
from stampede.containers.create_body import create_body
from stampede.containers.network_body import network_body
from stampede.documents import Revision
from stampede.planning.expansion import expand
from stampede.planning.identity import labels_of
from stampede.planning.instances import Instance
from tests.lab.images import BUSYBOX

NAME = "raw API"
NETWORK_GONE_WITHIN_S = 20.0
FORBIDDEN = 403  # "has active endpoints"
CLUSTER = f"bench-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Prepared:
    """Create bodies of a network, and of containers by name."""

    network: dict[str, Any]
    containers: tuple[tuple[str, dict[str, Any]], ...]


class RawApi(AbstractContextManager["RawApi"]):
    """Containers of stacks on this machine's daemon. `threads` is how many requests are under way at once."""

    def __init__(self, threads: int = 4) -> None:
        self.threads = threads
        self.best_threads: int | None = None
        self._host = DockerHost()
        # Untyped: the SDK's published stubs lack half of its low-level client.
        self._api: Any = docker.APIClient(version="auto", timeout=120, num_pools=4, max_pool_size=64)
        self._prepared = Prepared({}, ())
        self._image = self._host.images.resolve(BUSYBOX, pull_policy="never")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove(f"stampede.cluster={CLUSTER}")
        self._api.close()
        self._host.close()

    def prepare(self, stack: Sleepers, first: int = 1) -> None:
        """Afterwards it is known what to ask for the containers from the slot `first` on. Not part of what is timed."""
        instances = [instance for instance in self._instances(stack) if instance.slot >= first]
        subnet, name = self._subnet(stack), f"{stack.name}_default"
        used = self._host.networks.used_addresses(name) if first > 1 else {}
        addresses = assign(subnet, used, [instance.name for instance in instances])
        (network,) = self._revision(stack).definition.networks.values()
        self._prepared = Prepared(
            network_body(network, cluster=CLUSTER, stack=stack.name, subnet=subnet),
            tuple((each.name, self._body(each, {name: addresses[each.name]})) for each in instances),
        )

    def deploy(self) -> None:
        """Afterwards the network is there, and the containers that were prepared have been created and started."""
        url = self._api._url("/networks/create")
        self._api._raise_for_status(self._api._post_json(url, self._prepared.network))
        self.create()

    def create(self) -> None:
        """Afterwards the containers that were prepared have been created and started."""
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(self._create, self._prepared.containers))

    def remove(self, stack: Sleepers) -> None:
        self._remove(f"stampede.stack={stack.name}", f"stampede.cluster={CLUSTER}")

    def _create(self, body: tuple[str, dict[str, Any]]) -> None:
        name, said = body
        made = self._api.create_container_from_config(said, name)
        self._api.start(made["Id"])

    def _remove(self, *labels: str) -> None:
        found = self._api.containers(all=True, filters={"label": list(labels)})
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(lambda entry: self._api.remove_container(entry["Id"], force=True), found))
        for network in self._api.networks(filters={"label": list(labels)}):
            self._remove_network(network["Id"])

    def _remove_network(self, network: str) -> None:
        """A busy daemon takes a moment to let the last endpoints go."""
        deadline = time.monotonic() + NETWORK_GONE_WITHIN_S
        while True:
            try:
                self._api.remove_network(network)
            except APIError as error:
                if error.status_code != FORBIDDEN or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def _revision(self, stack: Sleepers) -> Revision:
        services = {
            name: {**service, "networks": {"default": None}} for name, service in stack.document["services"].items()
        }
        networks = {"default": {"name": f"{stack.name}_default"}}
        document = {"name": stack.name, "services": services, "networks": networks}
        images = dict.fromkeys(stack.services, self._image)
        return Revision(
            stack=stack.name, number=1, created=datetime.now(UTC), salt="0" * 32, document=document, images=images
        )

    def _instances(self, stack: Sleepers) -> tuple[Instance, ...]:
        homes = {(name, slot): "bench" for name, count in stack.services.items() for slot in range(1, count + 1)}
        return expand(self._revision(stack), homes)

    def _subnet(self, stack: Sleepers) -> str:
        there = self._api.networks(filters={"label": [f"stampede.stack={stack.name}", f"stampede.cluster={CLUSTER}"]})
        if there:
            return str(there[0]["IPAM"]["Config"][0]["Subnet"])
        return network_subnet(self._host.networks.taken_subnets(), "10.44.0.0/16")

    def _body(self, instance: Instance, addresses: dict[str, str]) -> dict[str, Any]:
        labels = labels_of(instance, cluster=CLUSTER, reason="benchmark", run="")
        body = create_body(instance, addresses=addresses, files_dir=Path("/nowhere"), labels=labels)
        return body | {"Image": BUSYBOX}
