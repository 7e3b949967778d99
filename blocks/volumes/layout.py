"""How volumes lie in a pool. What is there under its name is whole: everything is made elsewhere and renamed.

volumes/<volume>/image, volume.json                        a volume
volumes/<volume>/snapshots/<snapshot>/image, snapshot.json  a snapshot of it
volumes/<volume>/snapshots/.<snapshot>/                     one being made
volumes/<volume>/restore.json, image.new                    a restore under way
making/<volume>/, leaving/                                  volumes being made; volumes and snapshots being removed
arriving/<volume>/                                          volumes whose content is still on its way (arrivals.py)
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from stampede.blocks.sealed_files import write_whole
from stampede.blocks.volumes import mounts
from stampede.errors import Foreign, UnknownName
from stampede.frozen import Frozen
from stampede.volumes.models import Snapshot, VolumeRecord
from stampede.volumes.names import check_snapshot_id, check_volume_name, order_of


class RestoreUnderWay(Frozen):
    """Which snapshot a volume goes back to, and under which id what it holds now is kept.

    `ready` says that image.new is whole, and takes the place of the image if it has not done so.
    """

    snapshot: str
    safety: Snapshot
    ready: bool = False


class Layout:
    """Paths and records below the directory of a pool."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.volumes, self.making, self.leaving = root / "volumes", root / "making", root / "leaving"
        self.arriving = root / "arriving"

    def ensure(self) -> None:
        for directory in (self.volumes, self.making, self.leaving, self.arriving):
            directory.mkdir(mode=0o700, exist_ok=True)

    def volume(self, name: str) -> Path:
        return self.volumes / check_volume_name(name)

    def image(self, name: str) -> Path:
        return self.volume(name) / "image"

    def record(self, name: str) -> VolumeRecord | None:
        """What is kept of a volume; None when there is none. Raises: Foreign when something else has its name."""
        path = self.volume(name) / "volume.json"
        if path.is_file():
            return VolumeRecord.model_validate_json(path.read_bytes())
        if self.volume(name).exists():
            raise Foreign(f"{self.volume(name)} is no volume of Stampede", "it is left alone; move it away")
        return None

    def known(self, name: str) -> VolumeRecord:
        """Raises: UnknownName when there is no such volume."""
        if record := self.record(name):
            return record
        raise UnknownName(f"there is no managed volume {name} on this host", "`stampede volume ls` lists them")

    def records(self) -> list[VolumeRecord]:
        """Of all volumes, by name. What is not ours is not among them."""
        found = sorted(self.volumes.glob("*/volume.json")) if self.volumes.is_dir() else []
        return [VolumeRecord.model_validate_json(path.read_bytes()) for path in found]

    def coming(self) -> list[VolumeRecord]:
        """Of volumes whose content is being received."""
        found = sorted(self.making.glob("*/volume.json"))
        return [*(VolumeRecord.model_validate_json(path.read_bytes()) for path in found), *self.arriving_records()]

    def arriving_records(self) -> list[VolumeRecord]:
        """Of volumes that can be used before all of them is here, by name."""
        found = sorted(self.arriving.glob("*/volume.json"))
        return [VolumeRecord.model_validate_json(path.read_bytes()) for path in found]

    def snapshot(self, volume: str, snapshot: str) -> Path:
        return self.volume(volume) / "snapshots" / check_snapshot_id(snapshot)

    def unfinished(self, volume: str, snapshot: str) -> Path:
        return self.volume(volume) / "snapshots" / f".{check_snapshot_id(snapshot)}"

    def known_snapshot(self, volume: str, snapshot: str) -> Snapshot:
        """Raises: UnknownName when the volume has no such snapshot."""
        self.known(volume)
        path = self.snapshot(volume, snapshot) / "snapshot.json"
        if not path.is_file():
            raise UnknownName(f"{volume} has no snapshot {snapshot}", "`stampede snapshot ls` lists them")
        return Snapshot.model_validate_json(path.read_bytes())

    def snapshots(self, volume: str) -> list[Snapshot]:
        """Those of a volume, oldest first."""
        found = self.volume(volume).glob("snapshots/[0-9]*/snapshot.json")
        return sorted(
            (Snapshot.model_validate_json(path.read_bytes()) for path in found), key=lambda one: order_of(one.id)
        )

    def restore(self, volume: str) -> Path:
        return self.volume(volume) / "restore.json"

    def discard(self, path: Path) -> bool:
        """Afterwards it is gone: at once from its place, then for good. False if it was not there.

        Its room is counted as free as well: XFS and btrfs give it back some time later unless they are synced.
        """
        if not path.exists():
            return False
        aside = self.leaving / f"{path.parent.parent.name}.{path.name}"
        remove_tree(aside)
        move(path, aside)
        remove_tree(aside)
        mounts.sync(self.root)
        return True


def write(path: Path, record: Frozen) -> None:
    """Afterwards the record is on the disk, whole."""
    write_whole(path, record.model_dump_json(indent=1).encode() + b"\n", mode=0o600)
    persist(path.parent)


def move(source: Path, target: Path) -> None:
    """One step that happens or not, and that a power cut does not undo."""
    source.rename(target)
    persist(target.parent)
    if source.parent != target.parent:
        persist(source.parent)


def persist(path: Path) -> None:
    """Afterwards a file or directory is on the disk as it is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def claimed(directory: Path) -> int | None:
    """A descriptor that keeps others from claiming the directory until it is closed; None when somebody else has it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_claimed(directory: Path) -> bool:
    """Whether somebody has claimed it; False when it is not there."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove_tree(path: Path) -> None:
    """Afterwards it is gone; a no-op if it was."""
    if path.is_dir():
        shutil.rmtree(path)


def entries(directory: Path) -> Iterator[Path]:
    """What is in a directory, in order; nothing when it is not there."""
    yield from sorted(directory.iterdir()) if directory.is_dir() else ()
