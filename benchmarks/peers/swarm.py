"""A swarm of one node, in the throw-away dockerd."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import docker

from benchmarks.stacks import Sleepers
from benchmarks.throwaway import Throwaway
from stampede.errors import StampedeError
from stampede.programs import ProgramFailed
from tests.lab.images import BUSYBOX

SERVICE = "docker service create"
STACK = "docker stack deploy"
ADDRESS = "10.77.0.1"
WITHIN_S = 300.0
LOOK_EVERY_S = 0.05


class Swarm:
    """Commands return at once (`--detach`); then this looks until all tasks run, which is what counts as done."""

    def __init__(self, throwaway: Throwaway, folder: Path) -> None:
        self._throwaway, self._folder = throwaway, folder
        # Untyped: the SDK's published stubs lack half of its low-level client.
        self._api: Any = docker.APIClient(throwaway.url, version="auto", timeout=120)
        throwaway.docker("swarm", "init", "--advertise-addr", ADDRESS)
        throwaway.take_image(BUSYBOX)

    def create_service(self, name: str, replicas: int) -> None:
        """`docker service create --replicas`, until all of them run."""
        options = ["--init", "--stop-grace-period", "1s", "--no-resolve-image", "--detach", "--quiet"]
        numbers = ["--name", name, "--replicas", str(replicas)]
        self._throwaway.docker("service", "create", *options, *numbers, BUSYBOX, "sleep", "86400")
        self._until_run(replicas)

    def scale(self, name: str, replicas: int) -> None:
        self._throwaway.docker("service", "scale", "--detach", f"{name}={replicas}")
        self._until_run(replicas)

    def remove_service(self, name: str) -> None:
        self._throwaway.docker("service", "rm", name)
        self._until_empty()

    def deploy(self, stack: Sleepers) -> None:
        """`docker stack deploy`, until exactly the wanted containers run."""
        self.deploy_file(stack.name, self._file(stack), stack.size)

    def change(self, stack: Sleepers) -> None:
        """The same for a stack in which `changed` services have to be replaced: until the new ones run and alone."""
        fresh = {f"{stack.name}_{name}" for name in stack.changed or {}}
        before = self._running_ids()
        self._deploy(stack.name, self._file(stack))
        self._until(
            lambda: self._has_moved(fresh, before, stack.size) and len(self._api.containers()) == stack.size,
            f"{stack.name} has changed",
        )

    def deploy_file(self, name: str, path: Path, tasks: int) -> None:
        """`docker stack deploy`, until this many tasks run."""
        self._deploy(name, path)
        self._until_run(tasks)

    def update_file(self, name: str, path: Path, service: str) -> None:
        """`docker stack deploy` of a file in which this service has changed, until its old containers are gone."""
        before, tasks, containers = self._running_ids(), len(self._running()), len(self._api.containers())
        self._deploy(name, path)
        self._until(
            lambda: self._has_moved({f"{name}_{service}"}, before, tasks) and len(self._api.containers()) == containers,
            f"{service} has changed",
        )

    def take_image(self, name: str) -> None:
        """Afterwards the swarm has an image of this machine's daemon."""
        self._throwaway.take_image(name)

    def _deploy(self, name: str, path: Path) -> None:
        words = ("--resolve-image", "never", "--detach=true", "--compose-file", str(path))
        self._throwaway.docker("stack", "deploy", *words, name)

    def remove(self, name: str) -> None:
        self._until(lambda: self._removes(name), f"the swarm lets go of {name}")
        self._until_empty()

    def _removes(self, name: str) -> bool:
        """False while the last tasks on the stack's network have not ended: the swarm then keeps the network."""
        try:
            self._throwaway.docker("stack", "rm", name)
        except ProgramFailed:
            return False
        return True

    def _file(self, stack: Sleepers) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{stack.name}-swarm.yaml"
        path.write_text(json.dumps({"version": "3.8", **stack.document}, indent=1))
        return path

    def _running(self) -> list[dict[str, Any]]:
        found = self._api.tasks(filters={"desired-state": "running"})
        return [task for task in found if task["Status"]["State"] == "running"]

    def _running_ids(self) -> set[str]:
        return {task["ID"] for task in self._running()}

    def _has_moved(self, services: set[str], before: set[str], tasks: int) -> bool:
        """Whether these services run only tasks that were not there before, and all others the same as before."""
        now = self._running()
        if len(now) != tasks:
            return False
        names = {service["ID"]: service["Spec"]["Name"] for service in self._api.services()}
        return all((names[task["ServiceID"]] in services) != (task["ID"] in before) for task in now)

    def _until_run(self, number: int) -> None:
        self._until(lambda: len(self._running()) == number, f"{number} tasks run")

    def _until_empty(self) -> None:
        self._until(lambda: not self._api.containers(all=True) and not self._api.services(), "the swarm is empty")

    @staticmethod
    def _until(holds: Any, what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            if time.monotonic() > deadline:
                raise StampedeError(f"waited {WITHIN_S:.0f} s in vain until {what}")
            time.sleep(LOOK_EVERY_S)
