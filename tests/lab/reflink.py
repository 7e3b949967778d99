"""A reflink file system of a test's own: a loop file with XFS or btrfs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stampede.programs import run

_MAKE = {"xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"]}


@contextmanager
def reflink_pool(folder: Path, kind: str, size_mib: int = 512) -> Iterator[Path]:
    """Its mount point, while the context is open."""
    image, mount = folder / f"{kind}.pool", folder / f"{kind}.mount"
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    run([*_MAKE[kind], image])
    mount.mkdir()
    run(["mount", "-o", "loop", image, mount])
    try:
        yield mount
    finally:
        run(["umount", mount])
