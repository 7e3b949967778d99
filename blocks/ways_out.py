"""What a container could reach through a read-only mount of a path of this host.

Read-only holds for files and directories. A socket, a pipe and a device can be written to all the same
(may_open in fs/namei.c of Linux), and directories of the running system have them, or soon will.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_SYSTEM = tuple(Path(path) for path in ("/dev", "/proc", "/run", "/sys"))
_MOST_ENTRIES = 20_000
_PLAIN = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
_KINDS = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}


def way_out(source: str) -> str:
    """Why a drill shall not see this path; "" if nothing speaks against it, also where there is no such path.

    Other file systems below it are not looked at: a drill does not see them.
    """
    path = Path(os.path.realpath(source))
    if any(path == system or system in path.parents for system in _SYSTEM):
        return "part of the running system"
    if not path.exists():
        return ""
    try:
        return _found_in(path)
    except OSError as error:
        return f"cannot be looked through for sockets: {error.strerror}"


def _found_in(path: Path) -> str:
    about = path.lstat()
    if not stat.S_ISDIR(about.st_mode):
        return _kind(about.st_mode)
    left, folders = _MOST_ENTRIES, [path]
    while folders:
        for entry in _entries(folders.pop()):
            left -= 1
            if left < 0:
                return f"has more than {_MOST_ENTRIES} files, too many to look through for sockets"
            with suppress(FileNotFoundError):  # gone meanwhile
                found = entry.stat(follow_symlinks=False)
                if kind := _kind(found.st_mode):
                    return f"has {kind}: {entry.path}"
                if stat.S_ISDIR(found.st_mode) and found.st_dev == about.st_dev:
                    folders.append(Path(entry.path))
    return ""


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from entries


def _kind(mode: int) -> str:
    """What it is called, unless it is a file, a directory or a symbolic link."""
    kind = stat.S_IFMT(mode)
    return "" if kind in _PLAIN else _KINDS.get(kind, "no file")
