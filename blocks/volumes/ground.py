"""What a pool stands on: a directory whose file system clones files, a file with such a file system, or neither.

places.pool       the pool; used as it is when its file system clones, else where the pool file is mounted
places.pool_file  the pool file: preallocated, so that a full disk cannot take away what is promised; XFS or btrfs
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile

from stampede import programs
from stampede.blocks import extents
from stampede.blocks.volumes import loops, mounts
from stampede.blocks.volumes.layout import move, persist
from stampede.errors import DaemonError, Foreign, StampedeError
from stampede.places import Places
from stampede.volumes.models import Driver, PoolSettings
from stampede.volumes.room import human, pool_size

_LABEL = "stampede"
_MAKE = {
    "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1", "-L", _LABEL],
    "btrfs": ["mkfs.btrfs", "-q", "-L", _LABEL],
}
_COPIED_AT_ONCE = 16 << 20


class Ground:
    """The directory of the pool, and how files are cloned on it."""

    def __init__(self, places: Places, settings: PoolSettings) -> None:
        self.path, self.file = places.pool, places.pool_file
        self._settings = settings
        self._driver: Driver | None = None

    @property
    def driver(self) -> Driver:
        """Raises: DaemonError when there is no pool here yet, or it is not mounted."""
        if self._driver is None and not self.find():
            raise DaemonError("this host has no pool for volumes yet", "the first managed volume makes one")
        assert self._driver is not None
        return self._driver

    @property
    def dedicated(self) -> bool:
        """Whether nobody but the pool writes to its file system."""
        return self.file.exists()

    @property
    def direct_io(self) -> bool:
        """btrfs checks sums of what it writes, and a page that changes under direct I/O would not match its own."""
        return self.driver != "btrfs"

    def find(self) -> bool:
        """Afterwards the pool is at hand if there is one: its file is mounted. False when none was made here yet."""
        if self.file.exists():
            self._mount_file()
        elif (self.path / "volumes").is_dir():
            self._driver = self._driver or ("plain" if self._settings.driver == "plain" else _kind_of(self.path))
        else:
            return False
        return True

    def ensure(self) -> None:
        """Afterwards there is a pool. Raises: BadInput, Foreign, DaemonError, ProgramMissing."""
        if self.find():
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted, here = self._settings.driver, _kind_of(self.path)
        if wanted == here or (wanted == "auto" and here != "plain"):
            self._driver = here
            return
        if any(self.path.iterdir()):
            raise Foreign(f"{self.path} has files that are not of a pool", "move them away; they are left alone")
        if wanted == "plain":
            self._driver = "plain"
            return
        self._make_file("xfs" if wanted == "auto" else wanted)
        self._mount_file()

    def clone(self, source: Path, target: Path) -> None:
        """Afterwards `target`, which is made, has what `source` had at one moment; without cloning it has to be still.

        It is not on the disk yet: `persist` it. Raises: NoReflink, OSError.
        """
        with source.open("rb") as original, target.open("xb") as copy:
            if self.driver == "plain":
                _copy_data(original.fileno(), copy.fileno())
            else:
                extents.clone(original.fileno(), copy.fileno())

    def rewrite(self, source: Path, target: Path) -> None:
        """Afterwards `target`, which is made, has what `source` has, in as few extents as the file system finds."""
        with source.open("rb") as original, target.open("xb") as copy:
            _copy_data(original.fileno(), copy.fileno())

    def extents(self, image: Path) -> int:
        with image.open("rb") as file:
            return extents.extent_count(file.fileno())

    def sizes(self) -> tuple[int, int]:
        """How many bytes its file system has, and how many of them are used."""
        said = os.statvfs(self.path)
        return said.f_blocks * said.f_frsize, (said.f_blocks - said.f_bavail) * said.f_frsize

    def _mount_file(self) -> None:
        if (there := mounts.mount_at(self.path)) is None:
            mounts.ensure_mount_point(self.path)
            with loops.attached(self.file, direct_io=True) as device:
                kind = _kind_in(self.file)
                mounts.mount(device, self.path, kind, "noatime")
            there = mounts.mount_at(self.path)
        assert there is not None
        self._driver = "btrfs" if there.kind == "btrfs" else "xfs"

    def _make_file(self, kind: str) -> None:
        """Under its name the file is whole; one that was left half made is made anew."""
        fresh = self.file.with_name(f".{self.file.name}.new")
        fresh.unlink(missing_ok=True)
        free = os.statvfs(self.file.parent)
        size = pool_size(free.f_bavail * free.f_frsize, self._settings)
        with fresh.open("xb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                fresh.unlink()
                raise DaemonError(f"{human(size)} cannot be set aside for {self.file}: {error.strerror}") from error
        try:
            programs.run([*_MAKE[kind], fresh], timeout_s=600)
        except StampedeError:
            fresh.unlink()  # it has taken much of the disk
            raise
        persist(fresh)
        move(fresh, self.file)


def _kind_of(directory: Path) -> Driver:
    """What the file system of a directory makes of a pool; found out by cloning a small file in it."""
    with TemporaryFile(dir=directory) as source, TemporaryFile(dir=directory) as target:  # without names: none is left
        source.write(bytes(4096))
        source.flush()
        try:
            extents.clone(source.fileno(), target.fileno())
        except extents.NoReflink:
            return "plain"
    held = directory.resolve()
    kinds = {one.path: one.kind for one in mounts.mounts()}
    found = next(kinds[path] for path in (held, *held.parents) if path in kinds)
    return "btrfs" if found == "btrfs" else "xfs" if found == "xfs" else "reflink"


def _kind_in(file: Path) -> str:
    """The file system in a pool file, by its magic number. Raises: Foreign when it is none that a pool has."""
    with file.open("rb") as held:
        if held.read(4) == b"XFSB":
            return "xfs"
        held.seek(0x10040)
        if held.read(8) == b"_BHRfS_M":
            return "btrfs"
    raise Foreign(
        f"{file} holds neither XFS nor btrfs", "a damaged pool file, or not one of Stampede; it is left alone"
    )


def _copy_data(source: int, target: int) -> None:
    """Data is copied, holes stay holes. By hand: copy_file_range would share extents where it can."""
    size = os.fstat(source).st_size
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError:
            return  # only a hole is left
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            at += os.pwrite(target, os.pread(source, min(end - at, _COPIED_AT_ONCE), at), at)
