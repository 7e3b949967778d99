"""Where the managed volumes of a stack are: every host is asked, and names of people become those of Docker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefect import flow

from stampede.errors import BadInput, Refused, UnknownName
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.on_host import on_hosts
from stampede.tasks.pool import read_pool
from stampede.volumes.models import FoundManagedVolume, Snapshot
from stampede.volumes.names import order_of
from stampede.volumes.views import HostVolumes, key_of


@flow(name="survey-volumes", persist_result=True)
async def survey_volumes(stack: str = "") -> HostVolumes:
    """The pool of this host, and its managed volumes of the stack (of all if "") with their snapshots."""
    return await read_pool(stack)


@dataclass(frozen=True)
class Volumes:
    """The managed volumes of a stack on all hosts."""

    stack: str
    hosts: Mapping[str, HostVolumes]

    @property
    def all(self) -> tuple[FoundManagedVolume, ...]:
        return tuple(volume for host in self.hosts.values() for volume in host.volumes)

    @property
    def arriving(self) -> tuple[FoundManagedVolume, ...]:
        """Those that are used while they are fetched out of a backup."""
        return tuple(volume for host in self.hosts.values() for volume in host.arriving)

    def chosen(self, keys: Sequence[str] | None) -> tuple[FoundManagedVolume, ...]:
        """Those that the file calls so; all if None. Raises: UnknownName, Refused for one that is arriving."""
        known = {key_of(volume) for volume in self.all}
        if coming := sorted(set(keys or ()) & {key_of(volume) for volume in self.arriving} - known):
            hint = "stampede volume ls shows how far it is; when all of it is here, the run that restores it says so"
            raise Refused(f"{self.stack}/{coming[0]} is still being restored from a backup", hint)
        if not known:
            raise UnknownName(
                f"{self.stack} has no managed volumes",
                "give a volume x-size, x-snapshots or x-backups in the stack file, and `stampede up`",
            )
        if unknown := sorted(set(keys or ()) - known):
            raise UnknownName(
                f"{self.stack} has no managed volume {', '.join(unknown)}", f"it has {', '.join(sorted(known))}"
            )
        return tuple(volume for volume in self.all if keys is None or key_of(volume) in keys)

    def one(self, key: str) -> FoundManagedVolume:
        """The volume of this key. Raises: UnknownName, BadInput when several hosts have one."""
        found = self.chosen([key])
        if len(found) > 1:
            where = ", ".join(volume.host for volume in found)
            raise BadInput(f"{self.stack}/{key} is on several hosts: {where}", "that is not possible yet")
        return found[0]

    def snapshots(self, volume: FoundManagedVolume) -> tuple[Snapshot, ...]:
        """Oldest first."""
        return self.hosts[volume.host].snapshots.get(volume.name, ())

    def newest_of_all(self, volumes: Sequence[FoundManagedVolume]) -> str:
        """The id of the newest snapshot that all of these volumes have of one moment. Raises: UnknownName."""
        common = set.intersection(*({one.id for one in self.snapshots(volume)} for volume in volumes))
        if not common:
            names = ", ".join(key_of(volume) for volume in volumes)
            hint = "name one of them, such as `stampede snapshot restore shop/uploads`"
            raise UnknownName(f"{names} of {self.stack} have no snapshot of one and the same moment", hint)
        return max(common, key=order_of)

    def snapshot(self, volume: FoundManagedVolume, snapshot: str) -> Snapshot:
        """The snapshot of this id. Raises: UnknownName, also for one of another volume."""
        for one in self.snapshots(volume):
            if one.id == snapshot:
                return one
        name = f"{self.stack}/{key_of(volume)}"
        others = [key_of(other) for other in self.all if any(s.id == snapshot for s in self.snapshots(other))]
        if others:
            hint = "a snapshot goes back into its own volume only; `stampede volume clone` makes another one of it"
            raise UnknownName(f"snapshot {snapshot} is of {', '.join(others)}, not of {name}", hint)
        raise UnknownName(f"{name} has no snapshot {snapshot}", f"`stampede snapshot ls {name}` lists them")


async def volumes_of(stack: str = "", *, step: str = "look at volumes") -> Volumes:
    """What every host has of the stack now (of all if "")."""
    hosts = await schedulable_hosts()
    found = await on_hosts({host: {"stack": stack} for host in hosts}, survey_volumes, step=step, reuse=False)
    return Volumes(stack, found)
