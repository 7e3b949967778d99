"""Pools of a test's own, on real file systems; afterwards nothing of them is mounted, frozen or left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stampede.blocks.volumes import ImagePool, mounts
from stampede.places import Places
from stampede.programs import run
from stampede.volumes.models import PoolSettings, WantedVolume
from stampede.volumes.room import MIB

POOL_BYTES = 400 * MIB
SETTINGS = {
    "xfs": PoolSettings(driver="xfs", size_bytes=POOL_BYTES),
    "btrfs": PoolSettings(driver="btrfs", size_bytes=POOL_BYTES),
    "plain": PoolSettings(driver="plain"),
    "reflink directory": PoolSettings(),
}


@contextmanager
def running_pool(places: Places, kind: str = "xfs", host: str = "h1") -> Iterator[ImagePool]:
    """A pool in `places`. `kind` is a key of SETTINGS."""
    try:
        if kind == "reflink directory":
            mount_reflink_disk(places)
        yield ImagePool(places, host, SETTINGS[kind])
    finally:
        clean_up(places)


def mount_reflink_disk(places: Places) -> None:
    """Afterwards the directory of the pool is on a disk that clones, as it is where a host's root is XFS."""
    disk = places.state / "disk.img"
    with disk.open("wb") as file:
        file.truncate(POOL_BYTES)
    run(["mkfs.xfs", "-q", "-m", "reflink=1", disk])
    places.pool.mkdir()
    run(["mount", "-o", "loop", disk, places.pool])


def remove_volumes(places: Places, stack: str) -> None:
    """Afterwards the pool of an installation has no volume of this stack, which nothing uses any more."""
    pool = ImagePool(places, "h1")
    for volume in pool.volumes(stack):
        pool.remove_volume(volume.name)


def clean_up(places: Places) -> None:
    """Afterwards nothing below the state directory is frozen, mounted or protected from being removed."""
    own = [one.path for one in mounts.mounts() if one.path.is_relative_to(places.state)]
    for path in own:
        with suppress(OSError):
            mounts.thaw(path)
    for path in reversed(own):
        run(["umount", "--lazy", path])
    for path in (*places.state.glob("volumes/*"), places.pool):
        if path.is_dir():
            mounts.set_immutable(path, False)


def wanted(name: str = "shop_uploads", *, stack: str = "shop", mib: int = 32, **labels: str) -> WantedVolume:
    return WantedVolume(name=name, stack=stack, size_bytes=mib * MIB, labels=labels)
