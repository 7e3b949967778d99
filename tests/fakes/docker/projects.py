"""Compose projects in memory: foreign containers, networks and volumes that carry a project's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stampede.errors import DaemonError, Foreign
from stampede.planning.adoption import SET_ASIDE, ComposeProject, set_aside_name
from stampede.planning.found import ForeignContainer

if TYPE_CHECKING:
    from tests.fakes.docker.host import FakeDockerHost


class FakeProjects:
    """See contract.Projects. `attached` maps containers to the networks they are on."""

    def __init__(self, host: FakeDockerHost) -> None:
        self._host = host
        self.attached: dict[str, tuple[str, ...]] = {}

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

    def _guests(self, network: str) -> tuple[str, ...]:
        of = self._host.networks.projects[network]
        strangers = (f for f in self._host.foreign if f.compose_project != of and f.state == "running")
        return tuple(sorted(f.name for f in strangers if network in self.attached.get(f.id, ())))

    def _containers(self, project: str) -> list[ForeignContainer]:
        return [found for found in self._host.foreign if found.compose_project == project]
