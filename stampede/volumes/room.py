"""Room in a pool: how large it is made, what it may promise, and how full is too full. Pure; all in bytes.

A sparse image whose pool is full loses writes that a container believes it made: write() succeeds, fsync fails once
and succeeds the next time. So what is promised fits, unless an overcommit is asked for, and a pool that fills
nevertheless (snapshots beyond their reserve) drops old snapshots at 85 % and stops its writers at 95 %.
"""

from __future__ import annotations

from collections.abc import Iterable

from stampede.errors import BadInput, Refused
from stampede.volumes.models import PoolSettings, Pressure

MIB, GIB = 1 << 20, 1 << 30
SMALLEST_POOL = 320 * MIB  # mkfs.xfs makes none below 300 MiB
SMALLEST_VOLUME = 16 * MIB
SOFT_WATERMARK, HARD_WATERMARK = 0.85, 0.95


def pool_size(free_bytes: int, settings: PoolSettings) -> int:
    """How large a pool file is made: half of what is free on the disk, or what the settings say, in whole MiB.

    Raises: BadInput for less than a pool can be, or for more than nine tenths of what is free.
    """
    wanted = settings.size_bytes if settings.size_bytes is not None else free_bytes // 2
    size = wanted // MIB * MIB
    if size < SMALLEST_POOL:
        raise BadInput(
            f"a pool of {human(size)} is too small for volumes; {human(free_bytes)} are free on its disk",
            f"a pool has at least {human(SMALLEST_POOL)}: free some space, or move the state directory",
        )
    if size > free_bytes * 9 // 10:
        raise BadInput(
            f"a pool of {human(size)} does not fit: {human(free_bytes)} are free on its disk",
            "ask for less than nine tenths of that, or free some space",
        )
    return size


def volume_size(wanted_bytes: int) -> int:
    """The size of an image: whole MiB, rounded up. Raises: BadInput when it is too small for a file system."""
    if wanted_bytes < SMALLEST_VOLUME:
        raise BadInput(
            f"a volume of {human(wanted_bytes)} is too small", f"a volume has at least {human(SMALLEST_VOLUME)}"
        )
    return -(-wanted_bytes // MIB) * MIB


def reserved(sizes: Iterable[int], settings: PoolSettings) -> int:
    """What volumes of these sizes are promised: their size, and their share for snapshots."""
    return sum(size + int(size * settings.snapshot_reserve) for size in sizes)


def room(pool_bytes: int, sizes: Iterable[int], settings: PoolSettings) -> int:
    """What may still be promised; 0 when nothing."""
    return max(0, int(pool_bytes * settings.overcommit) - reserved(sizes, settings))


def refuse_too_much(more_bytes: int, what: str, pool_bytes: int, sizes: Iterable[int], settings: PoolSettings) -> None:
    """Returns if `more_bytes` of volume, with their reserve, can be promised. Raises: Refused."""
    needed, left = reserved([more_bytes], settings), room(pool_bytes, sizes, settings)
    if needed > left:
        raise Refused(
            f"{what} needs {human(needed)} of the pool (with {settings.snapshot_reserve:.0%} for snapshots),"
            f" and {human(left)} of its {human(pool_bytes)} are not promised yet",
            "ask for less, remove a volume, or let the pool promise more than it has with an overcommit factor",
        )


def refuse_filling(more_bytes: int, what: str, used_bytes: int, size_bytes: int) -> None:
    """Returns if the pool needs no relief once it holds `more_bytes` as well. Raises: Refused."""
    if pressure(used_bytes + more_bytes, size_bytes) != "none":
        raise Refused(
            f"the pool is too full for {what}: {human(used_bytes)} of its {human(size_bytes)} are used"
            + (f", and {human(more_bytes)} would come" if more_bytes else ""),
            "remove snapshots or volumes",
        )


def pressure(used_bytes: int, size_bytes: int) -> Pressure:
    """soft: no new volume, oldest snapshots go. hard: writers are stopped until there is room."""
    fill = used_bytes / size_bytes if size_bytes else 1.0
    if fill >= HARD_WATERMARK:
        return "hard"
    return "soft" if fill >= SOFT_WATERMARK else "none"


def human(size: int) -> str:
    """A size for people: 1.5 GiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
