"""Volumes and snapshots as people see them: by the stack's name and the key in its file. Pure."""

from __future__ import annotations

from datetime import datetime

from stampede.frozen import Frozen
from stampede.volumes.labels import KEY, REPLACED_BY, TAKEN_BY
from stampede.volumes.models import Consistency, FoundManagedVolume, PoolStatus, Snapshot
from stampede.volumes.relief import Dropped


class VolumeView(Frozen):
    """One managed volume. `name` is `stack/key`, `docker_name` what Docker calls it. `arriving` as in models.py."""

    name: str
    stack: str
    volume: str
    docker_name: str
    host: str
    size_bytes: int
    used_bytes: int
    created: datetime
    origin: str = ""
    mounted: bool
    snapshots: int
    trouble: str = ""
    arriving: float | None = None


class SnapshotView(Frozen):
    """One snapshot of one volume. `name` is that of the volume, `stack/key`."""

    id: str
    name: str
    stack: str
    volume: str
    host: str
    created: datetime
    size_bytes: int
    consistency: Consistency
    together: tuple[str, ...]
    taken_by: str
    stall_s: float
    labels: dict[str, str]


class HostVolumes(Frozen):
    """What one host has: its pool (None where there is none), volumes and their snapshots, oldest first.

    `arriving` are volumes that are used already while the rest of them is fetched, and that cannot do all that others
    can.
    """

    host: str
    pool: PoolStatus | None = None
    volumes: tuple[FoundManagedVolume, ...] = ()
    arriving: tuple[FoundManagedVolume, ...] = ()
    snapshots: dict[str, tuple[Snapshot, ...]] = {}


class SnapshotsTaken(Frozen):
    """What a snapshot of a stack did. Those it removed were more than the file keeps."""

    stack: str
    snapshots: tuple[SnapshotView, ...] = ()
    removed: tuple[Dropped, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


def key_of(volume: FoundManagedVolume) -> str:
    """What the stack file calls it; Docker's name of one that no file named."""
    return volume.labels.get(KEY, volume.name)


def view_of(volume: FoundManagedVolume) -> VolumeView:
    return VolumeView(
        name=f"{volume.stack}/{key_of(volume)}",
        stack=volume.stack,
        volume=key_of(volume),
        docker_name=volume.name,
        host=volume.host,
        size_bytes=volume.size_bytes,
        used_bytes=volume.used_bytes,
        created=volume.created,
        origin=volume.origin,
        mounted=volume.mounted,
        snapshots=volume.snapshots,
        trouble=volume.trouble,
        arriving=volume.arriving,
    )


def view_of_snapshot(snapshot: Snapshot, volume: FoundManagedVolume) -> SnapshotView:
    return SnapshotView(
        id=snapshot.id,
        name=f"{volume.stack}/{key_of(volume)}",
        stack=volume.stack,
        volume=key_of(volume),
        host=volume.host,
        created=snapshot.created,
        size_bytes=snapshot.size_bytes,
        consistency=snapshot.consistency,
        together=snapshot.together,
        taken_by=snapshot.labels.get(TAKEN_BY, "restore" if REPLACED_BY in snapshot.labels else "hand"),
        stall_s=snapshot.stall_s,
        labels=snapshot.labels,
    )
