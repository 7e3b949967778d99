"""Compose projects in memory: foreign containers, networks and volumes that carry a project's name."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stampede.errors import DaemonError, Foreign
from stampede.planning.adoption import SET_ASIDE, ComposeProject, set_aside_name
from stampede.planning.found import ForeignContainer
from stampede.stackfile.yamltext import read_yaml

if TYPE_CHECKING:
    from tests.fakes.docker.host import FakeDockerHost


class FakeProjects:
    """See contract.Projects. `attached` maps containers to their networks; containers of services in `exits` end."""

    def __init__(self, host: FakeDockerHost) -> None:
        self._host = host
        self.attached: dict[str, tuple[str, ...]] = {}
        self.exits: dict[str, int] = {}

    def look(self, project: str) -> ComposeProject:
        self._host.answer()
        networks, volumes = self._host.networks.projects, self._host.volumes.projects
        return ComposeProject(
            name=project,
            containers=tuple(sorted(self._containers(project), key=lambda found: found.name)),
            networks=tuple(sorted(name for name, of in networks.items() if of == project)),
            volumes=tuple(sorted(name for name, of in volumes.items() if of == project)),
            guests={name: guests for name, of in networks.items() if of == project if (guests := self._guests(name))},
        )

    def set_aside(self, project: str, container: str) -> str:
        self._host.answer()
        found = next((f for f in self._host.foreign if container in (f.id, f.name)), None)
        if found is None:
            return ""
        if found.compose_project != project:
            raise Foreign(f"container {found.name} is not of the Compose project {project}")
        name = found.name if SET_ASIDE in found.name else set_aside_name(found.name)
        if (name, "exited") != (found.name, found.state):
            with self._host.effect(f"set {found.name} aside"):
                self._host.foreign.remove(found)
                self._host.foreign.append(found.model_copy(update={"name": name, "state": "exited"}))
        return name

    def remove_network(self, project: str, name: str) -> None:
        self._host.answer()
        if name not in self._host.networks.projects:
            if self._host.networks.exists(name):
                raise Foreign(f"network {name} is not of the Compose project {project}")
            return
        if self._host.networks.projects[name] != project:
            raise Foreign(f"network {name} is not of the Compose project {project}")
        running = [f.name for f in self._host.foreign if f.state == "running" and name in self.attached.get(f.id, ())]
        if running:
            raise DaemonError(f"the network {name} is still used by {', '.join(running)}")
        with self._host.effect(f"remove network {name}"):
            self._host.networks.remove_foreign(name)

    def bring_up(self, directory: Path, cancelled: threading.Event | None = None) -> None:
        self._host.answer()
        said = read_yaml((directory / "compose.yaml").read_text())
        project = said["name"]
        for network in said.get("networks", {}).values():
            if network.get("external") or self._host.networks.projects.get(network["name"]) == project:
                continue
            if self._host.networks.exists(network["name"]):
                raise DaemonError(f"network {network['name']} has an incorrect label")
            with self._host.effect(f"compose network {network['name']}"):
                self._host.networks.add_foreign(network["name"], project=project)
        for volume in said.get("volumes", {}).values():
            if not self._host.volumes.exists(volume["name"]):
                raise DaemonError(f"external volume {volume['name']} not found")
        for service, spec in said["services"].items():
            replicas = (spec.get("deploy") or {}).get("replicas", spec.get("scale", 1))
            for number in range(1, replicas + 1):
                self._compose(project, service, number, spec)

    def _compose(self, project: str, service: str, number: int, spec: dict[str, Any]) -> None:
        name = spec.get("container_name") or f"{project}-{service}-{number}"
        if any(found.name == name and found.compose_project == project for found in self._host.foreign):
            return
        if name in self._host.by_name:
            raise DaemonError(f"the container name {name} is already in use")
        ports = {int(port["published"]) for port in spec.get("ports", ()) if port.get("published", "").isdecimal()}
        if ports & self._host.taken_ports:
            raise DaemonError(f"port {min(ports & self._host.taken_ports)} is already allocated")
        with self._host.effect(f"compose {name}"):
            exits = self.exits.get(service)
            ends = {"state": "exited", "exit_code": exits} if exits is not None else {"state": "running"}
            who = {"id": f"{name}-id", "name": name, "compose_project": project, "compose_service": service}
            self._host.foreign.append(ForeignContainer.model_validate({**who, **ends}))
            self.attached[f"{name}-id"] = ()

    def take_down(self, project: str) -> None:
        self._host.answer()
        for found in self._containers(project):
            if SET_ASIDE not in found.name:
                with self._host.effect(f"remove {found.name}"):
                    self._host.foreign.remove(found)
        for network, of in list(self._host.networks.projects.items()):
            if of == project:
                self.remove_network(project, network)

    def _guests(self, network: str) -> tuple[str, ...]:
        of = self._host.networks.projects[network]
        strangers = (f for f in self._host.foreign if f.compose_project != of and f.state == "running")
        return tuple(sorted(f.name for f in strangers if network in self.attached.get(f.id, ())))

    def _containers(self, project: str) -> list[ForeignContainer]:
        return [found for found in self._host.foreign if found.compose_project == project]
