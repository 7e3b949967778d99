"""Mounts of this host: which there are, who else uses one, and making and removing them.

Sources: proc_pid_mountinfo(5), ioctl_fsmap of linux/fs.h (FIFREEZE, FITHAW, FITRIM), ioctl_iflags(2).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from stampede import programs
from stampede.errors import DaemonError, InUse

_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10
_THAW, _TRIM = 0xC0045878, 0xC0185879
_GONE_WITHIN_S = 5.0
_LIBC = ctypes.CDLL(None, use_errno=True)


class Mount(NamedTuple):
    """A line of mountinfo. `device` is major:minor of the file system, the same for all its mounts.

    `read_only` is said of the file system too: ext4 becomes so when it finds itself damaged.
    """

    device: str
    path: Path
    kind: str
    source: str
    read_only: bool = False


def mounts(process: str = "self") -> list[Mount]:
    """All mounts that a process sees, in the order in which they were made. Raises: OSError when it is gone."""
    return [
        _parsed(line) for line in Path(f"/proc/{process}/mountinfo").read_text(errors="surrogateescape").splitlines()
    ]


def mount_at(path: Path) -> Mount | None:
    """What is mounted exactly there; the topmost one."""
    place = path.resolve()
    return next((one for one in reversed(mounts()) if one.path == place), None)


def mount(source: Path, path: Path, kind: str, options: str) -> None:
    """Afterwards it is mounted there. Raises: DaemonError with what the kernel said."""
    try:
        programs.run(["mount", "--no-mtab", "-t", kind, "-o", options, source, path])
    except programs.ProgramFailed as error:
        raise DaemonError(f"{path} cannot be mounted: {error.message}", "`dmesg` may say more") from error


def unmount(path: Path) -> None:
    """Afterwards nothing is mounted there, and its file system is gone, not only this view of it.

    Raises: InUse when something still uses it; then it is mounted as before.
    """
    while found := mount_at(path):
        if users := users_of(found.device, path):
            raise _busy(path, users)
        ended = programs.run(["umount", path], check=False)
        if ended.code and mount_at(path):
            raise _busy(path, [ended.err.strip()])
        if found.source.startswith("/dev/loop") and not _released(found):
            mount(Path(found.source), path, found.kind, "noatime")
            raise _busy(path, ["a process in another mount namespace"])


def users_of(device: str, own: Path) -> list[str]:
    """Where else the file system of `device` is mounted, in any namespace: binds of containers, for the most part."""
    found, seen = set(), set()
    for process in (path.name for path in Path("/proc").iterdir() if path.name.isdigit()):
        with suppress(OSError):
            namespace = Path(f"/proc/{process}/ns/mnt").readlink()
            if namespace not in seen:
                seen.add(namespace)
                found |= {
                    str(one.path) for one in mounts(process) if one.device == device and one.path != own.resolve()
                }
    return sorted(found)


def ensure_mount_point(path: Path) -> None:
    """Afterwards the directory is there, and while nothing is mounted on it nothing can be written into it.

    Where the file system below has no such flag the directory stays as it is: containers bind a subdirectory of what
    is mounted, so that they do not start without it either.
    """
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if mount_at(path) is None:
        set_immutable(path, True)


def remove_mount_point(path: Path) -> None:
    """Afterwards it is gone. Nothing may be mounted there."""
    if path.is_dir():
        set_immutable(path, False)
        path.rmdir()


def sync(path: Path) -> None:
    """Afterwards everything written to the file system at `path` is on its disk. Raises: OSError."""
    with _opened(path) as descriptor:
        if _LIBC.syncfs(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))


def thaw(path: Path) -> bool:
    """Afterwards the file system mounted at `path` is not frozen; True if it was."""
    with _opened(path) as descriptor:
        try:
            fcntl.ioctl(descriptor, _THAW, 0)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False  # it was not frozen
            raise
    return True


def trim(path: Path) -> int:
    """Gives blocks that the file system does not use back to what lies below. Returns how many bytes it looked at."""
    asking = bytearray(struct.pack("=QQQ", 0, (1 << 64) - 1, 0))
    with _opened(path) as descriptor:
        fcntl.ioctl(descriptor, _TRIM, asking)
    return int(struct.unpack("=QQQ", asking)[1])


def set_immutable(path: Path, wanted: bool) -> None:
    """Afterwards nothing can be made in the directory, or it can again; a no-op where there is no such flag."""
    with _opened(path) as descriptor:
        held = bytearray(8)
        try:
            fcntl.ioctl(descriptor, _GET_FLAGS, held)
            flags = struct.unpack("=Q", held)[0]
            changed = flags | _IMMUTABLE if wanted else flags & ~_IMMUTABLE
            if changed != flags:
                fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("=Q", changed))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM):
                raise


def _released(found: Mount) -> bool:
    """Whether the loop device has cleared itself, which the kernel does a moment after the last user is gone."""
    backing = Path("/sys/block") / Path(found.source).name / "loop/backing_file"
    deadline = time.monotonic() + _GONE_WITHIN_S
    while backing.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def _busy(path: Path, users: list[str]) -> InUse:
    return InUse(
        f"{path} is in use: {', '.join(users[:3])}", "stop the containers that use the volume, and close what is open"
    )


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _parsed(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields, (kind, source, options) = before.split(" "), after.split(" ")[:3]
    read_only = "ro" in options.split(",")
    return Mount(fields[2], Path(_unescaped(fields[4])), kind, _unescaped(source), read_only)


def _unescaped(text: str) -> str:
    """Blanks and backslashes are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
