"""One volume twice: as an image on an XFS pool, which Stampede backs up, and as an ordinary directory, for restic."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.backups import engine, restic
from benchmarks.backups.content import MIB, Content
from benchmarks.processes import run
from stampede.blocks.extents import clone
from tests.lab.reflink import reflink_pool

Fill = Callable[[Content, Path], object]
"""Fills or changes a directory. Called once for each of the two, with the same content."""


@dataclass(frozen=True)
class Site:
    """`directory` is on the file system of this machine, `image` in the pool; both hold the same files."""

    folder: Path
    pool: Path

    @property
    def directory(self) -> Path:
        return self.folder / "directory"

    @property
    def image(self) -> Path:
        return self.pool / "image"

    def create(self, image_mib: int, fill: Fill) -> None:
        with self.image.open("wb") as file:
            file.truncate(image_mib * MIB)
        run(["mkfs.ext4", "-q", "-F", self.image])
        self.directory.mkdir()
        self.change(1, fill)

    def change(self, seed: int, fill: Fill) -> None:
        """Afterwards both have changed alike, on the disk. Mounting the image changes some of its blocks, too."""
        fill(Content(seed), self.directory)
        mount = self.folder / "mount"
        mount.mkdir(exist_ok=True)
        run(["mount", "-o", "loop", self.image, mount])
        try:
            fill(Content(seed), mount)
        finally:
            run(["umount", mount])
        run(["sync"])

    def snapshot(self, number: int) -> Path:
        """A clone of the image as it is now."""
        path = self.pool / f"snapshot-{number}"
        with self.image.open("rb") as source, path.open("wb") as target:
            clone(source.fileno(), target.fileno())
        return path

    def forget_snapshots(self) -> None:
        for path in self.pool.glob("snapshot-*"):
            path.unlink()


def forget_what_was_read() -> None:
    """Afterwards nothing of the data is in the page cache, and the programs of all contenders are."""
    run(["sync"])
    Path("/proc/sys/vm/drop_caches").write_text("3\n")
    engine.start()
    restic.start()


@contextmanager
def new_site(folder: Path, pool_mib: int) -> Iterator[Site]:
    folder.mkdir(parents=True)
    with reflink_pool(folder, "xfs", pool_mib) as pool:
        yield Site(folder, pool)
    shutil.rmtree(folder)
