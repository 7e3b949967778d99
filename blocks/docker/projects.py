"""What `docker compose` made of a project of one name, as far as Stampede takes it over. See contract.Projects."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from docker.errors import NotFound

from stampede.blocks.docker.client import Client, daemon_errors, translated
from stampede.blocks.docker.reading import foreign_of_list, is_anonymous
from stampede.errors import Cancelled, DaemonError, Foreign
from stampede.planning.adoption import PROJECT, SET_ASIDE, ComposeProject, set_aside_name
from stampede.programs import running
from stampede.stackfile.reference import reference_program

_LOOK_EVERY_S = 0.1
_RUNS = ("running", "paused", "restarting")


class DockerProjects:
    """See contract.Projects."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def look(self, project: str) -> ComposeProject:
        filters = {"label": f"{PROJECT}={project}"}
        with daemon_errors(f"look at the Compose project {project}"):
            containers = self._client.api.containers(all=True, filters=filters)
            networks = self._client.api.networks(filters=filters)
            volumes = self._client.api.volumes(filters=filters)["Volumes"] or []
            inspected = [self._client.api.inspect_network(network["Id"]) for network in networks]
        return ComposeProject(
            name=project,
            containers=tuple(sorted(map(foreign_of_list, containers), key=lambda found: found.name)),
            networks=tuple(sorted(network["Name"] for network in networks)),
            volumes=tuple(sorted(volume["Name"] for volume in volumes)),
            anonymous={
                foreign_of_list(entry).name: tuple(sorted(_anonymous_targets(entry)))
                for entry in containers
                if _anonymous_targets(entry)
            },
            guests=_guests(inspected, {entry["Id"] for entry in containers}),
        )

    def set_aside(self, project: str, container: str) -> str:
        said = self._inspect(container)
        if said is None:
            return ""
        name = str(said["Name"]).lstrip("/")
        if (said["Config"]["Labels"] or {}).get(PROJECT) != project:
            raise Foreign(f"container {name} is not of the Compose project {project}", "it is left alone")
        with daemon_errors(f"set {name} aside"):
            self._client.api.update_container(said["Id"], restart_policy={"Name": "no"})
            if said["State"]["Status"] in _RUNS:
                grace = said["Config"].get("StopTimeout")
                self._client.api.stop(said["Id"], timeout=10 if grace is None else grace)
            if SET_ASIDE in name:
                return name
            aside = set_aside_name(name)
            if self._inspect(aside) is not None:
                aside = f"{aside}-{said['Id'][:6]}"
            self._client.api.rename(said["Id"], aside)
        return aside

    def remove_network(self, project: str, name: str) -> None:
        with daemon_errors(f"look at network {name}"):
            try:
                said: dict[str, Any] = self._client.api.inspect_network(name)
            except NotFound:
                return
        if (said.get("Labels") or {}).get(PROJECT) != project:
            raise Foreign(f"network {name} is not of the Compose project {project}", "it is left alone")
        if others := sorted(end["Name"] for end in (said.get("Containers") or {}).values()):
            raise DaemonError(
                f"the Compose project's network {name} is still used by {', '.join(others)}",
                f"disconnect them: docker network disconnect {name} CONTAINER",
            )
        with daemon_errors(f"remove network {name}"):
            try:
                self._client.api.remove_network(said["Id"])
            except NotFound:
                return

    def bring_up(self, directory: Path, cancelled: threading.Event | None = None) -> None:
        stop = cancelled or threading.Event()
        # When this worker is killed, so is the program: the next run of the change starts it again.
        argv = ["setpriv", "--pdeathsig", "KILL", str(reference_program()), "--project-directory", str(directory)]
        argv += ["-f", str(directory / "compose.yaml"), "up", "-d", "--no-build", "--pull", "never"]
        with running(argv, env=self._client.environment) as program:
            while not program.ended:
                if stop.wait(_LOOK_EVERY_S):
                    raise Cancelled(f"docker compose up in {directory} was cancelled")
            if program.wait():
                raise translated(f"compose the project in {directory}", _last_lines(program.said))

    def take_down(self, project: str) -> None:
        for found in self.look(project).containers:
            if SET_ASIDE in found.name:
                continue
            with daemon_errors(f"remove {found.name}"):
                try:
                    said = self._client.api.inspect_container(found.id)
                    grace = said["Config"].get("StopTimeout")
                    self._client.api.stop(found.id, timeout=10 if grace is None else grace)
                    self._client.api.remove_container(found.id, force=True)
                except NotFound:
                    continue
        for network in self.look(project).networks:
            self.remove_network(project, network)

    def _inspect(self, container: str) -> dict[str, Any] | None:
        with daemon_errors(f"look at {container[:40]}"):
            try:
                return dict(self._client.api.inspect_container(container))
            except NotFound:
                return None


def _last_lines(said: str) -> str:
    """Of what Compose says, the end is why it failed; what went well stands before."""
    return "\n".join(said.strip().splitlines()[-5:])


def _guests(networks: list[dict[str, Any]], of_project: set[str]) -> dict[str, tuple[str, ...]]:
    """By network: running containers on it that are somebody else's."""
    found = {}
    for network in networks:
        ends = (network.get("Containers") or {}).items()
        if others := sorted(end["Name"] for container, end in ends if container not in of_project):
            found[network["Name"]] = tuple(others)
    return found


def _anonymous_targets(entry: dict[str, Any]) -> list[str]:
    mounts = entry.get("Mounts") or []
    return [m["Destination"] for m in mounts if m["Type"] == "volume" and is_anonymous(m.get("Name", ""))]
