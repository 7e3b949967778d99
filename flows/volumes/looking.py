"""What there is: volumes and snapshots, of a stack or of all."""

from __future__ import annotations

from prefect import flow

from stampede.flows.volumes.hosts import volumes_of
from stampede.frozen import Frozen
from stampede.volumes.models import PoolStatus
from stampede.volumes.views import SnapshotView, VolumeView, view_of, view_of_snapshot


class VolumeList(Frozen):
    """Managed volumes by name, and the pools they are in."""

    volumes: tuple[VolumeView, ...] = ()
    pools: tuple[PoolStatus, ...] = ()


@flow(name="list-volumes", flow_run_name="list volumes", persist_result=True)
async def list_volumes(stack: str = "") -> VolumeList:
    """The managed volumes of a stack, or of all; also those that arrive from a backup."""
    found = await volumes_of(stack)
    views = sorted(
        (view_of(volume) for volume in (*found.all, *found.arriving)), key=lambda view: (view.name, view.host)
    )
    pools = tuple(host.pool for host in found.hosts.values() if host.pool)
    return VolumeList(volumes=tuple(sorted(views, key=lambda view: (view.name, view.host))), pools=pools)


@flow(name="list-snapshots", flow_run_name="list snapshots", persist_result=True)
async def list_snapshots(stack: str = "", volumes: list[str] | None = None) -> tuple[SnapshotView, ...]:
    """The snapshots of volumes, all if none is named, oldest first. Raises: UnknownName."""
    found = await volumes_of(stack)
    chosen = found.chosen(volumes) if volumes else found.all
    views = [view_of_snapshot(one, volume) for volume in chosen for one in found.snapshots(volume)]
    return tuple(sorted(views, key=lambda view: (view.name, view.created)))
