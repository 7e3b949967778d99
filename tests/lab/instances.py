"""Instances for tests of Docker: wanted ones without the planner, and how they are made on a daemon."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stampede.addresses import assign, network_subnet
from stampede.blocks.docker import Docker
from stampede.planning.identity import labels_of
from stampede.planning.instances import Image, Instance, MountedFile
from stampede.stackfile.models import Attachment, Network, Service
from tests.lab.images import BUSYBOX

SLEEP = ("sleep", "600")


@dataclass
class Workbench:
    """One stack on one daemon, made piece by piece. `files_dir` stands for Places.files."""

    docker: Docker
    cluster: str
    stack: str
    files_dir: Path = Path("/nowhere")
    subnets: dict[str, str] = field(default_factory=dict)

    def network(self, name: str = "default", **said: Any) -> str:
        """Afterwards the stack's network exists. Returns Docker's name of it."""
        network = Network(name=f"{self.stack}_{name}", **said)
        subnet = network_subnet([*self.docker.networks.taken_subnets()], "10.143.0.0/16")
        found = self.docker.networks.ensure_network(network, cluster=self.cluster, stack=self.stack, subnet=subnet)
        self.subnets[network.name] = found.subnet
        return network.name

    def image(self, service: str = "web", reference: str = BUSYBOX) -> Image:
        """Afterwards the image is kept for the service."""
        image = self.docker.images.resolve(reference)
        self.docker.images.keep(image, self.stack, service)
        return image

    def wanted(
        self,
        slot: int = 1,
        *,
        service: str = "web",
        networks: dict[str, Attachment] | None = None,
        named: dict[str, str] | None = None,
        files: tuple[MountedFile, ...] = (),
        spec: Service | None = None,
        **said: Any,
    ) -> Instance:
        """An instance that sleeps, unless `spec` or keys of a service say otherwise.

        `named` maps the file's names of volumes to Docker's.
        """
        spec = spec or Service(**{"image": BUSYBOX, "command": SLEEP, "init": True, **said})
        digest = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
        return Instance(
            stack=self.stack,
            service=service,
            slot=slot,
            host="h1",
            revision=1,
            spec=spec,
            image=self.image(service, spec.image or BUSYBOX),
            networks=networks or {},
            volumes=named or {},
            files=files,
            spec_hash=f"v1:{digest}",
        )

    def create(self, instance: Instance, **more: Any) -> str:
        """Afterwards it exists. Its addresses are the lowest free ones, unless given."""
        addresses = more.pop("addresses", None)
        if addresses is None:
            addresses = {
                name: assign(self.subnets[name], self.docker.networks.used_addresses(name), [instance.name])[
                    instance.name
                ]
                for name in instance.networks
            }
        labels = labels_of(instance, cluster=self.cluster, reason="a test", run="r1")
        return self.docker.containers.create(
            instance, addresses=addresses, files_dir=self.files_dir, labels=labels, **more
        )

    def run(self, instance: Instance, **more: Any) -> str:
        """Afterwards it was started."""
        container = self.create(instance, **more)
        self.docker.containers.start(container)
        return container
