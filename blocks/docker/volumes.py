"""Named volumes of stacks on a Docker daemon. The promises are in contract.Volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docker.errors import NotFound

from stampede.blocks.docker.client import Client, daemon_errors
from stampede.blocks.docker.reading import foreign_of_list, is_of, volume_of
from stampede.errors import DaemonError, Foreign
from stampede.planning import identity
from stampede.planning.adoption import PROJECT
from stampede.planning.found import FoundVolume
from stampede.stackfile.models import Volume


class DockerVolumes:
    """See contract.Volumes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ensure_volume(self, volume: Volume, *, cluster: str, stack: str, adopted: bool = False) -> FoundVolume:
        there = self._inspect(volume.name)
        if there is None and volume.external:
            raise DaemonError(
                f"the external volume {volume.name} does not exist", f"docker volume create {volume.name}"
            )
        if there is None:
            labels = {**volume.labels, identity.CLUSTER: cluster, identity.STACK: stack}
            with daemon_errors(f"make volume {volume.name}"):
                there = self._client.api.create_volume(
                    volume.name, volume.driver or "local", dict(volume.driver_opts), labels
                )
        found = there.get("Labels") or {}
        if adopted and found.get(PROJECT) == stack:
            return FoundVolume(name=volume.name, stack=stack, adopted=True)
        if not volume.external and (found.get(identity.CLUSTER), found.get(identity.STACK)) != (cluster, stack):
            raise Foreign(
                f"a volume named {volume.name} exists already and is not of stack {stack}",
                "declare it with `external: true` to use it, or `stampede adopt` to take over its project",
            )
        return volume_of(there)

    def remove_volume(self, name: str, *, cluster: str) -> None:
        there = self._inspect(name)
        if there is None:
            return
        if (there.get("Labels") or {}).get(identity.CLUSTER) != cluster:
            raise Foreign(f"volume {name} was not made by this installation", "it is left alone")
        with daemon_errors(f"remove volume {name}"):
            try:
                self._client.api.remove_volume(name)
            except NotFound:
                return

    def data_of(self, name: str) -> Path | None:
        there = self._inspect(name)
        if there is None or there["Driver"] != "local" or there.get("Options"):
            return None
        return Path(there["Mountpoint"])

    def users_of(self, name: str) -> tuple[str, ...]:
        with daemon_errors(f"look for users of volume {name}"):
            entries = self._client.api.containers(all=True, filters={"volume": name})
        mounting = [e for e in entries if any(mount.get("Name") == name for mount in e.get("Mounts") or ())]
        return tuple(sorted(foreign_of_list(entry).name for entry in mounting))

    def set_apart(self, name: str, original: str, *, cluster: str, stack: str) -> None:
        data = self.data_of(name)
        if data is None:
            return
        labels = (self._inspect(name) or {}).get("Labels") or {}
        if not is_of(labels, cluster, stack) and labels.get(PROJECT) != stack:
            raise Foreign(f"volume {name} is not of stack {stack}", "it is left alone")
        if users := self.users_of(name):
            raise DaemonError(f"volume {name} is mounted by {', '.join(users)}", f"docker rm {' '.join(users)}")
        self.ensure_volume(Volume(name=original), cluster=cluster, stack=stack)
        kept = self.data_of(original)
        if kept is None:
            raise DaemonError(f"volume {original} is not one of Docker's own", "remove it first")
        if data.exists():
            try:
                data.rename(kept)  # onto an empty directory: there is no moment at which neither has the data
            except OSError as error:
                raise DaemonError(
                    f"the data of {name} cannot become that of {original}: {error}", f"docker volume rm {original}"
                ) from error
        with daemon_errors(f"remove volume {name}"):
            try:
                self._client.api.remove_volume(name)
            except NotFound:
                return

    def volumes(self, cluster: str, stack: str | None = None) -> tuple[FoundVolume, ...]:
        return self.sorted_out(cluster, stack)[0]

    def sorted_out(self, cluster: str, stack: str | None) -> tuple[tuple[FoundVolume, ...], tuple[str, ...]]:
        """Named volumes of a stack (of all if None), and the names of every other volume; in one request."""
        with daemon_errors("list volumes"):
            said: list[dict[str, Any]] = self._client.api.volumes()["Volumes"] or []
        named = [entry for entry in said if identity.ANONYMOUS not in (entry["Labels"] or {})]
        ours = [volume_of(entry) for entry in named if is_of(entry["Labels"], cluster, stack)]
        others = {entry["Name"] for entry in said} - {volume.name for volume in ours}
        return tuple(sorted(ours, key=lambda volume: volume.name)), tuple(sorted(others))

    def _inspect(self, name: str) -> dict[str, Any] | None:
        with daemon_errors(f"look at volume {name}"):
            try:
                return dict(self._client.api.inspect_volume(name))
            except NotFound:
                return None
