"""Single files and folders out of an opened backup: with modes, owners, times, extended attributes, and their holes.

Neither side is trusted to be what it looks like: names are resolved one at a time from open folders, and symbolic links
are copied, never followed. Hard links become files of their own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath

from stampede.blocks.backups.inside import FOLDER, about_of, checked, known_folder, missing, names, open_at
from stampede.blocks.backups.opened import OpenedBackup
from stampede.errors import Cancelled, Refused
from stampede.frozen import Frozen

_STAGE = ".stampede-restoring"
_STAGED = "one"
_AT_ONCE = 4 << 20
_OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class CopyReport(Frozen):
    """What was copied. `left_out` are devices, sockets and pipes, which no backup of files should bring to a host."""

    files: int
    folders: int
    bytes: int
    left_out: tuple[str, ...]


def copy_out(
    opened: OpenedBackup,
    paths: Iterable[str],
    target: Path,
    *,
    there: Collection[str] = (),
    cancelled: threading.Event | None = None,
) -> CopyReport:
    """Afterwards each of these paths of the volume, with all that is in it, is at the same path below `target`.

    Each appears there whole or not at all, and nothing that is there is replaced. Folders on the way to one are made
    like those of the volume where they are missing. What a killed call has left is cleared by the next. Those in
    `there` were copied before, and are left as they are.

    Raises: BadInput for a path that leads outside, UnknownName for one that is not in the backup, Refused if one is in
    `target` already or somebody else copies there; Damaged or StoreUnavailable when the store cannot give what is asked
    for, Cancelled, OSError for what the target's disk says.
    """
    wanted = [checked(path) for path in paths if path not in there]
    copy = _Copy(cancelled or threading.Event())
    try:
        with open_at(opened.data, FOLDER) as source, open_at(target, FOLDER) as root, _stage(root) as stage:
            for path in wanted:
                copy.one(source, path, root, stage)
    except OSError as error:
        raise opened.reason_of(error) from error
    return CopyReport(files=copy.files, folders=copy.folders, bytes=copy.bytes, left_out=tuple(copy.left_out))


class _Copy:
    """One call of copy_out, and what it has come to."""

    def __init__(self, cancelled: threading.Event) -> None:
        self._cancelled = cancelled
        self.files = self.folders = self.bytes = 0
        self.left_out: list[str] = []

    def one(self, source: int, path: PurePosixPath, root: int, stage: int) -> None:
        """Afterwards this path of `source` is in `root`."""
        with ExitStack() as parents:
            for part in path.parts[:-1]:
                source = parents.enter_context(known_folder(source, part, path))
                root = parents.enter_context(_like_folder(source, root, part, path))
            try:
                about = about_of(source, path.name)
            except FileNotFoundError as error:
                raise missing(path) from error
            _refuse_present(root, path)
            self._entry(source, path.name, stage, _STAGED, about, path)
            _refuse_present(root, path)
            if _exists(stage, _STAGED):
                os.rename(_STAGED, path.name, src_dir_fd=stage, dst_dir_fd=root)
                os.fsync(root)

    def _entry(self, source: int, name: str, target: int, new: str, about: os.stat_result, path: PurePosixPath) -> None:
        match stat.S_IFMT(about.st_mode):
            case stat.S_IFDIR:
                os.mkdir(new, 0o700, dir_fd=target)
                with open_at(name, FOLDER, source) as old, open_at(new, FOLDER, target) as made:
                    for inner in names(old):
                        self._entry(old, inner, made, inner, about_of(old, inner), path / inner)
                    _adopt_attributes(old, made, about)
                self.folders += 1
            case stat.S_IFREG:
                with open_at(name, _OLD_FILE, source) as old, open_at(new, _NEW_FILE, target) as made:
                    self._content(old, made, about.st_size)
                    _adopt_attributes(old, made, about)
                    os.fsync(made)
                self.files += 1
            case stat.S_IFLNK:
                os.symlink(os.readlink(name, dir_fd=source), new, dir_fd=target)
                os.chown(new, about.st_uid, about.st_gid, dir_fd=target, follow_symlinks=False)
                os.utime(new, ns=(about.st_atime_ns, about.st_mtime_ns), dir_fd=target, follow_symlinks=False)
                self.files += 1
            case _:
                self.left_out.append(str(path))

    def _content(self, old: int, made: int, size: int) -> None:
        os.ftruncate(made, size)
        for start, end in _data(old, size):
            at = start
            while part := os.pread(old, min(_AT_ONCE, end - at), at):
                if self._cancelled.is_set():
                    raise Cancelled("copying out of a backup was cancelled")
                left = memoryview(part)
                while left:
                    written = os.pwrite(made, left, at)
                    left, at = left[written:], at + written
            self.bytes += at - start


def _adopt_attributes(old: int, made: int, about: os.stat_result) -> None:
    """Afterwards the new file or folder has owner, mode, extended attributes and times of the old one."""
    os.fchown(made, about.st_uid, about.st_gid)
    os.fchmod(made, stat.S_IMODE(about.st_mode))
    for attribute in os.listxattr(old):
        os.setxattr(made, attribute, os.getxattr(old, attribute))
    os.utime(made, ns=(about.st_atime_ns, about.st_mtime_ns))


def _data(file: int, size: int) -> Iterator[tuple[int, int]]:
    """What of a file is no hole."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # only a hole is left
            raise
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, min(end, size)


@contextmanager
def _like_folder(old: int, target: int, name: str, path: PurePosixPath) -> Iterator[int]:
    """The folder of this name in `target`, made like `old` if it was missing."""
    missing = not _exists(target, name)
    if missing:
        os.mkdir(name, 0o700, dir_fd=target)
    try:
        descriptor = os.open(name, FOLDER | os.O_CLOEXEC, dir_fd=target)
    except NotADirectoryError as error:
        raise Refused(f"{name} of {path} is no folder where it is to be copied", "choose another target") from error
    try:
        if missing:
            _adopt_attributes(old, descriptor, os.fstat(old))
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _stage(root: int) -> Iterator[int]:
    """A folder in `root` for what is not whole yet, gone afterwards."""
    with suppress(FileExistsError):
        os.mkdir(_STAGE, 0o700, dir_fd=root)
    with open_at(_STAGE, FOLDER, root) as stage:
        try:
            fcntl.flock(stage, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "something is being restored there already; wait for it"
            raise Refused(f"{_STAGE} in the target is in use", hint) from error
        try:
            for name in names(stage):
                _remove(name, stage)
            yield stage
        finally:
            shutil.rmtree(_STAGE, ignore_errors=True, dir_fd=root)


def _remove(name: str, folder: int) -> None:
    if stat.S_ISDIR(about_of(folder, name).st_mode):
        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _refuse_present(folder: int, path: PurePosixPath) -> None:
    if _exists(folder, path.name):
        raise Refused(f"{path} is there already", "choose another target, or move it away")


def _exists(folder: int, name: str) -> bool:
    try:
        about_of(folder, name)
    except FileNotFoundError:
        return False
    return True
