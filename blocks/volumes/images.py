"""Images of volumes as mounts: looked at and mended before, attached with direct I/O, grown in place."""

from __future__ import annotations

from pathlib import Path

from stampede.blocks.volumes import ext4, loops, mounts
from stampede.blocks.volumes.ground import Ground
from stampede.blocks.volumes.layout import Layout, move, persist
from stampede.errors import DaemonError, Foreign, InUse
from stampede.volumes.models import VolumeRecord
from stampede.volumes.names import check_volume_name


class Images:
    """Mounts of a pool's volumes, each in a directory of its name `below`. Called under the pool's lock."""

    def __init__(self, below: Path, layout: Layout, ground: Ground) -> None:
        self._below, self._layout, self._ground = below, layout, ground

    def place(self, volume: str) -> Path:
        """Where the volume is mounted, when it is."""
        return self._below / check_volume_name(volume)

    def is_mounted(self, volume: str) -> bool:
        """Whether its own image is. Raises: Foreign when something else is mounted in its place."""
        found = mounts.mount_at(self.place(volume))
        if found and loops.device_of(self._layout.image(volume)) != Path(found.source):
            raise Foreign(f"{found.source} is mounted on {found.path}, not the volume", f"umount {found.path}")
        return found is not None

    def mount(self, record: VolumeRecord) -> Path:
        """Afterwards it is mounted; returns the directory for containers. Raises: DaemonError, Refused, Foreign."""
        place = self.place(record.name)
        if not self.is_mounted(record.name):
            if self._layout.restore(record.name).exists():
                raise DaemonError(
                    f"volume {record.name} is not mounted: a restore of it can be neither finished nor undone",
                    "its pool cannot be written to: look whether it is full, and at the kernel's log",
                )
            if trouble := self.trouble(record):
                raise DaemonError(f"volume {record.name} is not mounted: {trouble}", "restore a snapshot or a backup")
            image = self._layout.image(record.name)
            loops.refuse_attached(image)
            self._mend(image, record.name)
            mounts.ensure_mount_point(place)
            with loops.attached(image, direct_io=self._ground.direct_io) as device:
                mounts.mount(device, place, "ext4", ext4.MOUNT_OPTIONS)
        (place / ext4.DATA).mkdir(mode=0o755, exist_ok=True)
        return place / ext4.DATA

    def unmount(self, volume: str) -> bool:
        """Afterwards it is not; False if it was not. Raises: InUse while it is."""
        if not self.is_mounted(volume):
            return False
        mounts.unmount(self.place(volume))
        return True

    def grow(self, record: VolumeRecord, size: int) -> None:
        """Afterwards the image and its file system have that size, mounted or not. Raises: Refused, DaemonError."""
        image, place = self._layout.image(record.name), self.place(record.name)
        if image.stat().st_size < size:
            with image.open("r+b") as file:
                file.truncate(size)
        found = mounts.mount_at(place)
        if found:
            device = Path(found.source)
            loops.adopt_size(device)
            if ext4.grow_mounted(device):
                return
            try:
                self.unmount(record.name)
            except InUse as error:
                raise InUse(
                    f"{record.name} cannot grow while it is in use: this kernel lets nobody do that ({error.message})",
                    "`stampede volume resize` stops what uses it, in order, and starts it again",
                ) from error
        self._mend(image, record.name)
        ext4.grow(image)

    def trouble(self, record: VolumeRecord) -> str:
        """Why it cannot be mounted, as far as a look at its image says; empty when nothing is wrong."""
        image = self._layout.image(record.name)
        if not image.is_file():
            return "its image is gone"
        superblock = ext4.read(image)
        if superblock and image.stat().st_size < superblock.size_bytes:
            return f"its image was cut off: {image.stat().st_size} bytes of {superblock.size_bytes} are left"
        found = mounts.mount_at(self.place(record.name))
        if found and found.read_only:
            return "its file system found itself damaged and can only be read: stop what uses it, then mount it again"
        return ""

    def _mend(self, image: Path, volume: str) -> None:
        """On a clone, so that an image whose file system cannot be mended stays what it was."""
        superblock = ext4.read(image)
        if superblock and superblock.clean:
            return
        fresh = image.with_name("image.mending")
        fresh.unlink(missing_ok=True)
        self._ground.clone(image, fresh)
        try:
            ext4.mend(fresh, volume)
        except ext4.Damaged:
            fresh.unlink()
            raise
        persist(fresh)
        move(fresh, image)
