"""What killed verbs left in a pool is finished, or undone. Called under the pool's lock, before each change."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stampede.blocks.volumes import ext4, mounts
from stampede.blocks.volumes.ground import Ground
from stampede.blocks.volumes.layout import Layout, RestoreUnderWay, claimed, entries, move, persist, remove_tree, write
from stampede.errors import StampedeError
from stampede.volumes.models import Snapshot, VolumeRecord


def settle(layout: Layout, ground: Ground, mounted_at: Path) -> None:
    """Afterwards every volume and snapshot is whole, and nothing half made or half removed takes up room.

    Snapshots that were taken together become visible together: all if each had its image and record, else none.
    Trouble of one volume is no other's: a restore that cannot be finished is undone; where even that fails its
    restore.json stays, and the volume is not mounted.
    """
    layout.ensure()
    for left in (*entries(layout.making), *entries(layout.leaving)):
        claim = claimed(left)
        if claim is not None:  # else somebody is still writing it
            remove_tree(left)
            os.close(claim)
    records = layout.records()
    for record in records:
        with suppress(StampedeError, OSError):
            for unfinished in layout.volume(record.name).glob("snapshots/.*"):
                _settle_snapshot(layout, unfinished)
    for record in records:
        with suppress(StampedeError, OSError):
            if layout.restore(record.name).exists():
                if mounts.mount_at(mounted_at / record.name) is not None:
                    continue
                finish_restore(layout, ground, record)
            for stray in (*layout.volume(record.name).glob(".*"), *layout.volume(record.name).glob("image.*")):
                stray.unlink()


def finish_restore(layout: Layout, ground: Ground, record: VolumeRecord) -> Snapshot:
    """The restore that the volume's restore.json asks for, from wherever it was left; returns the safety snapshot.

    Raises: Damaged when the snapshot cannot be mended, OSError; then nothing of the restore is left, and the volume
    holds what it did.
    """
    asked = RestoreUnderWay.model_validate_json(layout.restore(record.name).read_bytes())
    image = layout.image(record.name)
    fresh = image.with_name("image.new")
    if not asked.ready:
        try:
            _prepare_restore(layout, ground, record, asked, fresh)
        except Exception:
            _undo_restore(layout, asked.safety, fresh)
            raise
    if fresh.exists():
        move(fresh, image)
    layout.restore(record.name).unlink()
    persist(image.parent)
    return asked.safety


def _prepare_restore(layout: Layout, ground: Ground, record: VolumeRecord, asked: RestoreUnderWay, fresh: Path) -> None:
    """Afterwards the safety snapshot is there, and so is the image to be."""
    if not layout.snapshot(record.name, asked.safety.id).exists():
        unfinished = layout.unfinished(record.name, asked.safety.id)
        stage(layout, ground, asked.safety)
        write(unfinished / "snapshot.json", asked.safety)
        publish(layout, asked.safety)
    fresh.unlink(missing_ok=True)
    ground.clone(layout.snapshot(record.name, asked.snapshot) / "image", fresh)
    fit(fresh, record.size_bytes, record.name)
    persist(fresh)
    write(layout.restore(record.name), asked.model_copy(update={"ready": True}))


def _undo_restore(layout: Layout, safety: Snapshot, fresh: Path) -> None:
    """Afterwards nothing of a restore that did not come to its end is left. The image was not touched.

    The safety snapshot goes before what asks for it: a snapshot of that id says that the restore was done.
    """
    fresh.unlink(missing_ok=True)
    remove_tree(layout.unfinished(safety.volume, safety.id))
    layout.discard(layout.snapshot(safety.volume, safety.id))
    layout.restore(safety.volume).unlink()
    persist(fresh.parent)


def fit(image: Path, size_bytes: int, volume: str) -> None:
    """Afterwards an image that nothing has mounted is not smaller than this, and its file system fills it."""
    if image.stat().st_size < size_bytes:
        with image.open("r+b") as file:
            file.truncate(size_bytes)
        ext4.mend(image, volume)
        ext4.grow(image)


def stage(layout: Layout, ground: Ground, snapshot: Snapshot) -> None:
    """Afterwards the image of a snapshot is there, but nobody sees it yet."""
    unfinished = layout.unfinished(snapshot.volume, snapshot.id)
    remove_tree(unfinished)
    unfinished.mkdir(mode=0o700, parents=True)
    ground.clone(layout.image(snapshot.volume), unfinished / "image")
    persist(unfinished / "image")


def publish(layout: Layout, snapshot: Snapshot) -> None:
    """Afterwards the snapshot can be seen."""
    move(layout.unfinished(snapshot.volume, snapshot.id), layout.snapshot(snapshot.volume, snapshot.id))


def _settle_snapshot(layout: Layout, unfinished: Path) -> None:
    record = unfinished / "snapshot.json"
    if record.is_file():
        snapshot = Snapshot.model_validate_json(record.read_bytes())
        if all(_is_ready(layout, member, snapshot.id) for member in snapshot.together):
            publish(layout, snapshot)
            return
    remove_tree(unfinished)


def _is_ready(layout: Layout, volume: str, snapshot: str) -> bool:
    places = (layout.snapshot(volume, snapshot), layout.unfinished(volume, snapshot))
    return any((place / "snapshot.json").is_file() for place in places)
