"""The file system inside an image: ext4, made, mended and grown by e2fsprogs while nothing has it mounted.

Sources: mke2fs(8), e2fsck(8) for its exit codes, resize2fs(8), Documentation/filesystems/ext4/super.rst.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from stampede import programs
from stampede.errors import DaemonError

DATA = "data"  # what containers see: a directory of its own, so that they do not find lost+found
MOUNT_OPTIONS = "noatime,errors=remount-ro"  # noatime: reading shall not make blocks that a backup has to send
_CHECK_WITHIN_S = 3600.0
_SUPERBLOCK = struct.Struct("<4xI16xI28xHH36xI236xI")  # blocks low, log block size, magic, state, incompat, blocks high
_SUPERBLOCK_AT = 1024
_MAGIC, _VALID, _ERRORS, _NEEDS_RECOVERY, _64BIT = 0xEF53, 1, 2, 0x4, 0x80


class Damaged(DaemonError):
    """The file system in an image cannot be mended without someone who decides what is lost."""


class Superblock(NamedTuple):
    """What the file system says of itself."""

    size_bytes: int
    clean: bool


def make(image: Path, size_bytes: int) -> None:
    """Afterwards the image holds an empty ext4 with the directory that containers see; what it was before is gone.

    Blocks have 4 KiB whatever the size, for they are what a backup sends. None are set aside for root.
    """
    with image.open("wb") as file:
        file.truncate(size_bytes)
    template = image.with_name(f"{image.name}.template")  # beside it, so that whoever clears up after a kill finds it
    (template / DATA).mkdir(parents=True, exist_ok=True)
    (template / DATA).chmod(0o755)  # whatever our umask is
    options = ["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
    programs.run(["mkfs.ext4", *options, "-d", template, image], timeout_s=600)
    (template / DATA).rmdir()
    template.rmdir()


def read(image: Path) -> Superblock | None:
    """The superblock, or None when there is none that could be one of ext4."""
    with image.open("rb") as file:
        file.seek(_SUPERBLOCK_AT)
        held = file.read(_SUPERBLOCK.size)
    if len(held) < _SUPERBLOCK.size:
        return None
    low, log_size, magic, state, incompat, high = _SUPERBLOCK.unpack(held)
    if magic != _MAGIC or log_size > 6:
        return None
    blocks = low + (high << 32 if incompat & _64BIT else 0)
    clean = bool(state & _VALID) and not state & _ERRORS and not incompat & _NEEDS_RECOVERY
    return Superblock(blocks << (10 + log_size), clean)


def mend(image: Path, volume: str, *, thoroughly: bool = False) -> None:
    """Afterwards the file system is clean: its journal is replayed, and what is safe to mend is mended (e2fsck -p).

    `thoroughly` looks at all of it, also if it does not say of itself that something is wrong. (Not by `e2fsck -n`:
    that takes what every power cut leaves, such as deleted files that were open, for errors.)

    Raises: Damaged when more than that is needed.
    """
    how = "-fp" if thoroughly else "-p"
    ended = programs.run(["e2fsck", how, image], check=False, timeout_s=_CHECK_WITHIN_S)
    if ended.code >= 4:
        said = (ended.out + ended.err).strip().splitlines()
        raise Damaged(
            f"the file system of volume {volume} is damaged: {' / '.join(said[-3:])}",
            "nothing of it was changed: restore a snapshot or a backup; or run `e2fsck` on its image, which asks",
        )


def grow(image: Path) -> None:
    """Afterwards the file system fills its image, which nothing has mounted. Raises: Damaged, ProgramFailed."""
    ended = programs.run(["e2fsck", "-f", "-p", image], check=False, timeout_s=_CHECK_WITHIN_S)
    if ended.code >= 4:
        raise Damaged(
            f"the file system in {image} is damaged and was not grown: {ended.out.strip()[-300:]}",
            "restore a snapshot or a backup first",
        )
    programs.run(["resize2fs", image], timeout_s=_CHECK_WITHIN_S)


def grow_mounted(device: Path) -> bool:
    """The same for one that is mounted from `device`; False where the kernel lets nobody do that."""
    return programs.run(["resize2fs", device], check=False, timeout_s=_CHECK_WITHIN_S).code == 0
