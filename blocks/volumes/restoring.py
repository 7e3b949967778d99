"""A volume goes back to a snapshot of it: the content of that comes into its place, and what it held is kept."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from stampede.blocks.volumes.ground import Ground
from stampede.blocks.volumes.images import Images
from stampede.blocks.volumes.layout import Layout, RestoreUnderWay, write
from stampede.blocks.volumes.recovery import finish_restore
from stampede.errors import Refused, StampedeError
from stampede.volumes.labels import REPLACED_BY
from stampede.volumes.models import Snapshot, VolumeRecord
from stampede.volumes.room import pressure


def put_back(
    layout: Layout, ground: Ground, images: Images, record: VolumeRecord, snapshot: str, safety: str, now: datetime
) -> None:
    """Afterwards the volume, not mounted, has the content of the snapshot, and what it held is the snapshot `safety`.

    Raises: InUse, Refused when the pool has no room for that, Damaged when the snapshot cannot be mended, OSError;
    then the volume is as it was, and mounted again if it can be.
    """
    image = layout.image(record.name)
    was_mounted = images.unmount(record.name)
    try:
        _refuse_full(ground, record.name, (image, layout.snapshot(record.name, snapshot) / "image"))
        keeping = Snapshot(
            id=safety,
            volume=record.name,
            stack=record.stack,
            created=now,
            size_bytes=record.size_bytes,
            consistency="unmounted",
            together=(record.name,),
            extents=ground.extents(image),
            labels={REPLACED_BY: snapshot},
        )
        write(layout.restore(record.name), RestoreUnderWay(snapshot=snapshot, safety=keeping))
        finish_restore(layout, ground, record)
    except Exception:
        if was_mounted:
            with suppress(StampedeError, OSError):
                images.mount(record)
        raise


def _refuse_full(ground: Ground, volume: str, cloned: tuple[Path, ...]) -> None:
    """Returns if both clones leave writers of the pool running. They take room only where they are copies."""
    size, used = ground.sizes()
    more = sum(image.stat().st_blocks * 512 for image in cloned if image.is_file()) if ground.driver == "plain" else 0
    if pressure(used + more, size) == "hard":
        raise Refused(f"the pool is too full to restore {volume}", "remove snapshots or volumes")
