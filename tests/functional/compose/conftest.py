"""Compose text, resolved as a user's file is, runs as containers on the real daemon; then tests look at what became."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import docker as sdk
import pytest

from stampede.addresses import assign, network_subnet
from stampede.blocks.docker import DockerHost
from stampede.blocks.host_files import place_file
from stampede.containers.image_names import KEPT
from stampede.documents import Revision
from stampede.places import Places
from stampede.planning.changes import Preparation
from stampede.planning.expansion import expand
from stampede.planning.identity import labels_of
from stampede.planning.instances import Image, Instance
from stampede.planning.obstacles import refuse_obstacles
from stampede.planning.placement import place
from stampede.planning.preparations import prepare
from stampede.stackfile import load_stack
from stampede.stackfile.models import Service, Stack
from tests.lab.images import ensure_busybox

HOST = "h1"


@dataclass
class Project:
    """One stack of this test's own. What the flows do over tasks, it does step by step with the same parts."""

    name: str
    directory: Path
    places: Places
    docker: DockerHost
    client: sdk.DockerClient
    stack: Stack = field(default_factory=lambda: Stack(name=""))
    revision: int = 0

    def create(self, compose: str, *, environ: Mapping[str, str] | None = None, **more: Any) -> None:
        """Afterwards networks, volumes, files and containers of this text are there, not started."""
        (self.directory / "compose.yaml").write_text(dedent(compose))
        environ = {"PATH": "/usr/bin:/bin", **(environ or {})}
        loaded = load_stack([self.directory / "compose.yaml"], project_name=self.name, environ=environ)
        self.stack, self.revision = loaded.stack, self.revision + 1
        revision = Revision(
            stack=self.name,
            number=self.revision,
            created=datetime.now(UTC),
            salt="salt",
            document=loaded.document,
            images={name: self._image(name, service) for name, service in self.stack.services.items()},
        )
        instances = expand(revision, place(self.stack.services, [HOST], ()))
        self._prepare(instances)
        for instance in sorted(instances, key=_needs_another):
            self._create(instance, **more)

    def _prepare(self, instances: Sequence[Instance]) -> None:
        """Exactly what a plan would make ready for these instances, or refuse, is there."""
        found = self.docker.found(HOST, self.name, self.name)
        refuse_obstacles(self.stack, instances, [found])
        preparations, _ = prepare(self.name, self.stack, instances, [found], set(), remove_volumes=False)
        needed = preparations.get(HOST, Preparation())
        for network in (network for network in self.stack.networks.values() if network.name in needed.networks):
            subnet = network_subnet(self.docker.networks.taken_subnets(), "10.144.0.0/16")
            self.docker.networks.ensure_network(network, cluster=self.name, stack=self.name, subnet=subnet)
        for volume in (volume for volume in self.stack.volumes.values() if volume.name in needed.volumes):
            self.docker.volumes.ensure_volume(volume, cluster=self.name, stack=self.name)

    def up(self, compose: str, **more: Any) -> None:
        """As `create`, and all of them were started."""
        self.create(compose, **more)
        for service in sorted(self.stack.services, key=lambda name: _shares(self.stack.services[name])):
            self.docker.containers.start(self.container(service).id)

    def _image(self, name: str, service: Service) -> Image:
        if service.build is not None:
            return self.docker.images.build(service.build, service.image or f"{self.name}-{name}")
        assert service.image
        return self.docker.images.resolve(service.image, pull_policy=service.pull_policy, platform=service.platform)

    def _create(self, instance: Instance, **more: Any) -> None:
        self.docker.images.keep(instance.image, self.name, instance.service)
        documents = {"config": self.stack.configs, "secret": self.stack.secrets}
        for file in instance.files:
            place_file(self.places, self.name, file, documents[file.kind][file.source].content)
        addresses = {}
        subnets = {network.name: network.subnet for network in self.docker.found(HOST, self.name).networks}
        for network in set(instance.networks) & set(subnets):
            used = self.docker.networks.used_addresses(network)
            addresses.update({network: assign(subnets[network], used, [instance.name])[instance.name]})
        others = {found.service: found.id for found in self.docker.found(HOST, self.name).instances}
        labels = labels_of(instance, cluster=self.name, reason="a test", run="r1")
        self.docker.containers.create(
            instance,
            addresses=addresses,
            files_dir=self.places.files,
            labels=labels,
            container_of_service=others,
            **more,
        )

    def container(self, service: str = "web", slot: int = 1) -> Any:
        """The newest container of a slot, as the SDK sees it."""
        found = [f for f in self.docker.found(HOST, self.name).instances if (f.service, f.slot) == (service, slot)]
        newest = max(found, key=lambda each: (each.created_at, each.revision))
        return self.client.containers.get(newest.id)

    def inspect(self, service: str = "web") -> Any:
        return self.container(service).attrs

    def host_config(self, service: str = "web") -> Any:
        return self.inspect(service)["HostConfig"]

    def sh(self, command: str, service: str = "web") -> str:
        """What a shell command says inside, without the last line's end. Fails if its exit code is not 0."""
        code, output = self.docker.containers.exec_probe(self.container(service).id, ["sh", "-c", command], 20)
        assert code == 0, (command, code, output)
        return output.rstrip("\n")

    def fails(self, command: str, service: str = "web") -> bool:
        """Whether a shell command ends with another exit code than 0 inside."""
        return self.docker.containers.exec_probe(self.container(service).id, ["sh", "-c", command], 20)[0] != 0


def _shares(service: Service) -> bool:
    return any((mode or "").startswith("service:") for mode in (service.network_mode, service.pid, service.ipc))


def _needs_another(instance: Instance) -> bool:
    return _shares(instance.spec)


@pytest.fixture
def project(stack_name: str, tmp_path: Path, places: Places, docker_client: sdk.DockerClient) -> Iterator[Project]:
    """A stack of this test's own, removed afterwards with its images."""
    ensure_busybox(docker_client)
    host = DockerHost()
    yield Project(stack_name, tmp_path, places, host, docker_client)
    for container in docker_client.containers.list(all=True, filters={"label": f"stampede.stack={stack_name}"}):
        container.remove(force=True, v=True)
    for tag in {tag for image in docker_client.images.list() for tag in image.tags}:
        if tag.startswith((f"{KEPT}{stack_name}/", f"{stack_name}-")):
            docker_client.images.remove(tag, force=True)
    for image in docker_client.images.list(filters={"dangling": True, "label": f"stampede.built={stack_name}-web"}):
        docker_client.images.remove(str(image.id))
    host.close()


@pytest.fixture
def web(project: Project) -> Callable[..., Project]:
    """One service `web` of busybox that sleeps, with these keys besides (YAML of the service, not indented)."""

    def up(keys: str = "", *, more: str = "", start: bool = True, **said: Any) -> Project:
        lines = ["services:", "  web:", "    image: stampede-test/busybox:1", "    stop_grace_period: 1s"]
        if "command:" not in keys:
            lines.append("    command: [sleep, '600']")
        lines += ["    " + line for line in dedent(keys).strip().splitlines()]
        text = "\n".join(lines) + "\n" + dedent(more)
        (project.up if start else project.create)(text, **said)
        return project

    return up
