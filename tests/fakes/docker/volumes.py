"""Volumes in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stampede.errors import DaemonError, Foreign
from stampede.planning import identity
from stampede.planning.found import FoundVolume
from stampede.stackfile.models import Volume

if TYPE_CHECKING:
    from tests.fakes.docker.host import FakeDockerHost


class FakeVolumes:
    """See contract.Volumes."""

    def __init__(self, host: FakeDockerHost) -> None:
        self._host = host
        self._made: dict[str, tuple[str, str]] = {}
        self._managed: set[str] = set()
        self._anonymous: set[str] = set()
        self.projects: dict[str, str] = {}
        self.root: Path | None = None

    def add_foreign(self, name: str, project: str = "") -> None:
        """A volume that somebody else made is there, or Compose did for this project."""
        self._made[name] = ("", "")
        self.projects[name] = project

    def anonymous(self, serial: str, mounts: list[dict[str, Any]]) -> dict[str, str]:
        """The anonymous volumes of a new container, by target: taken over, or new."""
        held = {}
        for mount in mounts:
            name = mount.get("Source") or hashlib.sha256(f"{serial}{mount['Target']}".encode()).hexdigest()
            if mount["Type"] == "volume" and name not in self._made:
                held[mount["Target"]] = name
        self._anonymous |= set(held.values())
        return held

    def drop(self, names: set[str]) -> None:
        """Those are gone that no container holds any more."""
        self._anonymous -= names - self._held()

    def exists(self, name: str) -> bool:
        return name in self._made or name in self._anonymous

    def ensure_volume(self, volume: Volume, *, cluster: str, stack: str, adopted: bool = False) -> FoundVolume:
        self._host.answer()
        there = self._made.get(volume.name)
        if there is None and volume.external:
            raise DaemonError(f"the external volume {volume.name} does not exist")
        if there is None:
            with self._host.effect(f"make volume {volume.name}"):
                self._made[volume.name] = there = (cluster, stack)
                self._managed |= {volume.name} if identity.MANAGED in volume.labels else set()
        if adopted and self.projects.get(volume.name) == stack:
            return FoundVolume(name=volume.name, stack=stack, adopted=True)
        if not volume.external and there != (cluster, stack):
            raise Foreign(f"a volume named {volume.name} exists already and is not of stack {stack}")
        return FoundVolume(name=volume.name, stack=there[1], managed=volume.name in self._managed)

    def remove_volume(self, name: str, *, cluster: str) -> None:
        self._host.answer()
        there = self._made.get(name)
        if there is None:
            return
        if there[0] != cluster:
            raise Foreign(f"volume {name} was not made by this installation")
        if name in self._held():
            raise DaemonError(f"volume {name} is in use")
        with self._host.effect(f"remove volume {name}"):
            del self._made[name]
            self._managed.discard(name)

    def users_of(self, name: str) -> tuple[str, ...]:
        self._host.answer()
        return tuple(
            sorted(
                container.found.name
                for container in self._host.by_name.values()
                if any(mount.get("Source") == name for mount in container.body["HostConfig"]["Mounts"])
            )
        )

    def set_apart(self, name: str, original: str, *, cluster: str, stack: str) -> None:
        data = self.data_of(name)
        if data is None:
            return
        if self._made[name] != (cluster, stack) and self.projects.get(name) != stack:
            raise Foreign(f"volume {name} is not of stack {stack}")
        if users := self.users_of(name):
            raise DaemonError(f"volume {name} is mounted by {', '.join(users)}")
        self.ensure_volume(Volume(name=original), cluster=cluster, stack=stack)
        kept = self.data_of(original)
        assert kept is not None
        with self._host.effect(f"move the data of {name}"):
            data.rename(kept)
        with self._host.effect(f"remove volume {name}"):
            del self._made[name]

    def data_of(self, name: str) -> Path | None:
        self._host.answer()
        if name not in self._made:
            return None
        assert self.root is not None, "a test that looks at data says where it is"
        (self.root / name).mkdir(parents=True, exist_ok=True)
        return self.root / name

    def volumes(self, cluster: str, stack: str | None = None) -> tuple[FoundVolume, ...]:
        self._host.answer()
        ours = sorted((name, owner[1]) for name, owner in self._made.items() if owner[0] == cluster)
        return tuple(
            FoundVolume(name=name, stack=of, managed=name in self._managed) for name, of in ours if stack in (None, of)
        )

    def others(self, cluster: str, stack: str | None) -> tuple[str, ...]:
        """Names of all that `volumes` leaves out."""
        ours = {volume.name for volume in self.volumes(cluster, stack)}
        return tuple(sorted({*self._made, *self._anonymous} - ours))

    def _held(self) -> set[str]:
        mounts = [mount for c in self._host.by_name.values() for mount in c.body["HostConfig"]["Mounts"]]
        named = {mount.get("Source", "") for mount in mounts if mount["Type"] == "volume"}
        return named | {name for c in self._host.by_name.values() for name in c.found.anonymous_volumes.values()}
