"""A directory made equal to another, in two passes: most of it while programs write, the rest once they have stopped.

What a pass skips is a file whose size and time of modification agree, and which has not changed since the first pass
began. For that the kernel's own time of change (ctime) counts, which no program can set back.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stampede import programs
from stampede.errors import Cancelled, DaemonError
from stampede.frozen import Frozen

CLOCK_MARGIN_S = 2.0  # the kernel stamps changes with a coarser clock than ours
_CHUNK = 8 << 20
_UNFINISHED = ".stampede-copy"

Progress = Callable[[int], None]


class Copied(Frozen):
    """What a pass came to: files and bytes of the whole tree, and bytes that this pass had to copy."""

    files: int = 0
    bytes: int = 0
    copied_bytes: int = 0


def every_so_often(tell: Progress, pause_s: float = 5.0) -> Progress:
    """Progress that is told now and then."""
    last = time.monotonic()

    def telling(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= pause_s:
            last = time.monotonic()
            tell(done)

    return telling


def identity_of(directory: Path) -> str:
    """What tells a directory from any other that has, or will have, its name: its number, and when it was made."""
    return programs.run(["stat", "--format=%i/%W", directory]).out.strip()


def tree_bytes(directory: Path) -> int:
    """What the files in a directory take, holes left out."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(Path(folder) / name).st_blocks * 512
    return total


def copy_tree(
    source: Path,
    target: Path,
    *,
    changed_since: float | None = None,
    cancelled: threading.Event | None = None,
    progress: Progress = lambda _: None,
) -> Copied:
    """Afterwards `target`, which exists, holds what `source` does: owners, modes, times, links, holes and attributes.

    Without `changed_since` it is the first pass, in which files may change or go; with it (seconds since the epoch at
    which the first pass began) nothing may write any more, and the data is on disk when it returns. Either may be
    killed and done again. Sockets are left out. Raises: DaemonError when the target is full, Cancelled.
    """
    copying = _Copying(source, target, changed_since, cancelled or threading.Event(), progress)
    try:
        copying.directory(source, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DaemonError(f"{target} is full after {copying.copied >> 20} MiB", "give it more room") from error
        raise DaemonError(f"{source} could not be copied: {error}") from error
    if changed_since is not None:
        os.sync()
    return Copied(files=copying.files, bytes=copying.bytes, copied_bytes=copying.copied)


class _Copying:
    """One pass."""

    def __init__(
        self, source: Path, target: Path, since: float | None, cancelled: threading.Event, progress: Progress
    ) -> None:
        self._since, self._cancelled, self._progress = since, cancelled, progress
        self._links: dict[tuple[int, int], Path] = {}
        self.files = self.bytes = self.copied = 0

    def directory(self, source: Path, target: Path) -> None:
        """One directory and what is in it; its own times last, because its entries change them."""
        with os.scandir(source) as entries:
            names = {entry.name for entry in entries}
        for name in sorted(set(os.listdir(target)) - names):  # noqa: PTH208  names, not paths
            _remove(target / name)
        for name in sorted(names):
            if self._cancelled.is_set():
                raise Cancelled("copying was cancelled")
            try:
                self._entry(source / name, target / name)
            except (FileNotFoundError, NotADirectoryError):
                if self._since is not None:  # before that, files come and go
                    raise
        _like(source, target)

    def _entry(self, source: Path, target: Path) -> None:
        said = os.lstat(source)
        if stat.S_ISDIR(said.st_mode):
            if not target.is_dir() or target.is_symlink():
                _remove(target)
                target.mkdir(mode=0o700)
            return self.directory(source, target)
        if stat.S_ISSOCK(said.st_mode):
            return None
        self.files += 1
        if said.st_nlink > 1 and (first := self._links.setdefault((said.st_dev, said.st_ino), target)) != target:
            if not (target.exists() and target.samefile(first)):
                _remove(target)
                os.link(first, target, follow_symlinks=False)
            return None
        if stat.S_ISREG(said.st_mode):
            self._file(source, target, said)
        elif stat.S_ISLNK(said.st_mode):
            if not target.is_symlink() or target.readlink() != source.readlink():
                _remove(target)
                target.symlink_to(source.readlink())
            _like(source, target)
        else:
            _remove(target)
            os.mknod(target, said.st_mode, said.st_rdev)
            _like(source, target)
        return None

    def _file(self, source: Path, target: Path, said: os.stat_result) -> None:
        self.bytes += said.st_size
        if not self._is_same(said, target):
            unfinished = target.with_name(_UNFINISHED)
            _remove(unfinished)
            with source.open("rb") as reading, unfinished.open("wb") as writing:
                self._content(reading.fileno(), writing.fileno())
            _like(source, unfinished, said)
            if target.is_dir() and not target.is_symlink():
                _remove(target)
            unfinished.rename(target)
        _like(source, target, said)

    def _is_same(self, said: os.stat_result, target: Path) -> bool:
        try:
            there = os.lstat(target)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(there.st_mode) or (there.st_nlink > 1) != (said.st_nlink > 1):
            return False
        if self._since is not None and said.st_ctime >= self._since - CLOCK_MARGIN_S:
            return False
        return (there.st_size, there.st_mtime_ns) == (said.st_size, said.st_mtime_ns)

    def _content(self, reading: int, writing: int) -> None:
        """The data between the holes, and the size."""
        size = os.fstat(reading).st_size
        os.ftruncate(writing, size)
        at = 0
        while at < size:
            try:
                at = os.lseek(reading, at, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole is left
                    return
                raise
            end = os.lseek(reading, at, os.SEEK_HOLE)
            while at < end:
                if self._cancelled.is_set():
                    raise Cancelled("copying was cancelled")
                data = os.pread(reading, min(_CHUNK, end - at), at)
                if not data:
                    return
                os.pwrite(writing, data, at)
                at += len(data)
                self.copied += len(data)
                self._progress(self.copied)


def _like(source: Path, target: Path, said: os.stat_result | None = None) -> None:
    """Owner, mode, attributes and times; as `said`, where the source may have changed since it was read."""
    said = said or os.lstat(source)
    os.chown(target, said.st_uid, said.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(said.st_mode):
        target.chmod(stat.S_IMODE(said.st_mode))
    wanted = set(os.listxattr(source, follow_symlinks=False))
    for name in wanted:
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    for name in set(os.listxattr(target, follow_symlinks=False)) - wanted:
        os.removexattr(target, name, follow_symlinks=False)
    os.utime(target, ns=(said.st_atime_ns, said.st_mtime_ns), follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
