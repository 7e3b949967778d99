"""One cluster of fake hosts and the verbs on it, as a user has them."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from prefect.client.orchestration import get_client

from stampede.blocks.documents import Documents
from stampede.documents import Head
from stampede.flows.deploy_stack import deploy_stack
from stampede.flows.remove_stack import remove_stack
from stampede.flows.restart_service import restart_service
from stampede.flows.rollback_stack import rollback_stack
from stampede.flows.scale_service import scale_service
from stampede.places import Places
from stampede.planning.changes import Outcome
from stampede.planning.found import FoundInstance
from stampede.stackfile import load_stack
from stampede.tasks.stack_state import read_head
from stampede.tasks.this_host import ThisHost
from tests.flows.perils import Gate, PerilousDocker, PerilousHAProxy, PerilousPool

CLUSTER = "lab"
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


class Lab:
    """A cluster with fake hosts, all behind one gate."""

    def __init__(self, root: Path, hosts: tuple[str, ...] = ("h1",)) -> None:
        self.root, self.gate = root, Gate()
        self.hosts: Mapping[str, ThisHost] = {name: _host(root, name, self.gate) for name in hosts}

    @property
    def docker(self) -> PerilousDocker:
        docker = self.hosts["h1"].docker
        assert isinstance(docker, PerilousDocker)
        return docker

    @property
    def pool(self) -> PerilousPool:
        pool = self.hosts["h1"].pool
        assert isinstance(pool, PerilousPool)
        return pool

    @property
    def haproxy(self) -> PerilousHAProxy:
        haproxy = self.hosts["h1"].haproxy
        assert isinstance(haproxy, PerilousHAProxy)
        return haproxy

    async def deploy(self, stack: str, text: str, *, environ: Mapping[str, str] | None = None, **how: Any) -> Outcome:
        """`stampede up` with this stack file, called `stack`."""
        outcome: Outcome = await deploy_stack(stack=stack, candidate=await self.store(stack, text, environ), **how)
        return outcome

    async def store(self, stack: str, text: str, environ: Mapping[str, str] | None = None) -> str:
        """Afterwards the candidate of this stack file is stored, as a client does it. Returns its name."""
        name = f"{stack}-{uuid4().hex[:8]}"
        async with get_client() as client:
            await Documents(client).create_candidate(name, stack, document_of(stack, text, environ))
        return name

    async def scale(self, stack: str, **replicas: int) -> Outcome:
        return await scale_service(stack=stack, replicas=replicas)

    async def rollback(self, stack: str, revision: int | None = None) -> Outcome:
        return await rollback_stack(stack=stack, revision=revision)

    async def restart(self, stack: str, *services: str) -> Outcome:
        return await restart_service(stack=stack, services=list(services) or None)

    async def remove(self, stack: str, **how: Any) -> Outcome:
        outcome: Outcome = await remove_stack(stack=stack, **how)
        return outcome

    async def head(self, stack: str) -> Head:
        return await read_head(stack)

    def found(self, stack: str, service: str | None = None) -> list[FoundInstance]:
        """The instances of a stack on all hosts."""
        found = [i for name, host in self.hosts.items() for i in host.docker.found(name, CLUSTER, stack).instances]
        return [instance for instance in found if service in (None, instance.service)]

    def running(self, stack: str, service: str | None = None) -> list[str]:
        """Names of those that run."""
        return [found.name for found in self.found(stack, service) if found.state == "running"]

    def world(self, stack: str) -> dict[str, Any]:
        """Everything of a stack that a user could notice, comparable between two ways to get there."""
        return {
            "instances": sorted((i.host, i.name, i.state) for i in self.found(stack)),
            "networks": [
                n.name for host in self.hosts.values() for n in host.docker.found("", CLUSTER, stack).networks
            ],
            "volumes": [v.name for host in self.hosts.values() for v in host.docker.found("", CLUSTER, stack).volumes],
            "balanced": {
                name: (
                    [listener.bind for listener in host.haproxy.desired(stack).listeners],
                    [(server.name, server.state) for server in host.haproxy.desired(stack).servers],
                )
                for name, host in self.hosts.items()
            },
        }


def _host(root: Path, name: str, gate: Gate) -> ThisHost:
    docker = PerilousDocker(gate)
    return ThisHost(
        name=name,
        cluster=CLUSTER,
        places=_places(root / name),
        docker=docker,
        haproxy=PerilousHAProxy(gate),
        pool=PerilousPool(gate, docker, root / name / "pool", name),
    )


def document_of(stack: str, text: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The resolved document of a stack file."""
    return copy.deepcopy(_resolved(stack, text, tuple((environ or {}).items())))


@cache
def _resolved(stack: str, text: str, environ: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="stack-"))
    try:
        (folder / "compose.yaml").write_text(text)
        loaded = load_stack(cwd=folder, project_name=stack, environ=ENVIRONMENT | dict(environ))
    finally:
        shutil.rmtree(folder)
    return loaded.document


def _places(root: Path) -> Places:
    places = Places(root / "state", root / "run")
    for folder in (places.state, places.run):
        folder.mkdir(mode=0o700, parents=True)
    return places
