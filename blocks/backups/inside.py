"""Names inside an opened backup, resolved one at a time from open folders. Symbolic links are never followed.

Who wrote the volume is not trusted: what is a folder now may be a link to anywhere a moment later.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from stampede.backup.views import FileEntry, outermost
from stampede.blocks.backups.opened import OpenedBackup
from stampede.errors import BadInput, UnknownName

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_KINDS: dict[int, Literal["file", "folder", "link"]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
}


def entries_of(opened: OpenedBackup, path: str) -> tuple[FileEntry, ...]:
    """What is in this folder of the volume, by name; or just the file of this path. "" and "/" are the volume itself.

    Raises: BadInput, UnknownName; Damaged or StoreUnavailable when the store cannot give what is asked for.
    """
    pure = checked(path) if path.strip("/") else PurePosixPath()
    try:
        with ExitStack() as parents:
            folder = parents.enter_context(open_at(opened.data, FOLDER))
            for part in pure.parts[:-1]:
                folder = parents.enter_context(known_folder(folder, part, pure))
            if pure.parts:
                try:
                    about = about_of(folder, pure.name)
                except FileNotFoundError as error:
                    raise missing(pure) from error
                if not stat.S_ISDIR(about.st_mode):
                    return (_entry(pure, about),)
                folder = parents.enter_context(known_folder(folder, pure.name, pure))
            return tuple(_entry(pure / name, about_of(folder, name)) for name in names(folder))
    except OSError as error:
        raise opened.reason_of(error) from error


def _entry(path: PurePosixPath, about: os.stat_result) -> FileEntry:
    return FileEntry(
        path=os.fsencode(path).decode(errors="replace"),
        kind=_KINDS.get(stat.S_IFMT(about.st_mode), "other"),
        size_bytes=about.st_size,
        changed=datetime.fromtimestamp(about.st_mtime, UTC),
        mode=stat.S_IMODE(about.st_mode),
        uid=about.st_uid,
        gid=about.st_gid,
    )


def missing(path: PurePosixPath) -> UnknownName:
    return UnknownName(f"there is no {path} in the backup", "stampede backup ls STACK/VOLUME --path DIR lists a folder")


def checked(path: str) -> PurePosixPath:
    """The path, from the volume's root on. Raises: BadInput for one that leads outside."""
    return PurePosixPath(outermost([path])[0])


def names(folder: int) -> list[str]:
    with os.scandir(folder) as found:
        return sorted(entry.name for entry in found)


def about_of(folder: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=folder, follow_symlinks=False)


@contextmanager
def known_folder(source: int, name: str, path: PurePosixPath) -> Iterator[int]:
    try:
        descriptor = os.open(name, FOLDER | os.O_CLOEXEC, dir_fd=source)
    except FileNotFoundError as error:
        raise missing(path) from error
    except NotADirectoryError as error:
        raise BadInput(
            f"{name} in {path} is no folder", "symbolic links are not followed: name where it leads"
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_at(path: str | Path, flags: int, folder: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
