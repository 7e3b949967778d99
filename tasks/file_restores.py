"""Single files of backups: looked at, and copied to where people get at them, on this host."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from prefect import task

from stampede.backup.restore import NoSpace
from stampede.backup.views import BackupView, FilesListed, FilesRestored
from stampede.blocks.backups.copying import copy_out
from stampede.blocks.backups.inside import entries_of
from stampede.blocks.backups.opened import opened_backup
from stampede.blocks.sealed_files import write_whole
from stampede.blocks.stores import StampedeStore
from stampede.errors import BadInput, DaemonError, Refused, Transient
from stampede.tasks.backup_jobs import RETRY_STORE, shown_while
from stampede.tasks.backups import ready_store
from stampede.tasks.this_host import ThisHost, this_host
from stampede.tasks.threads import in_thread

MOST_ENTRIES = 10_000


@task(task_run_name="look into {view.name}@{view.backup}", **RETRY_STORE)
async def list_folder(view: BackupView, path: str) -> FilesListed:
    """What the backup has in this folder, "" for the volume's root; at most MOST_ENTRIES of it.

    Raises: BadInput, UnknownName, Damaged, StoreUnavailable, DaemonError where this host cannot mount backups.
    """
    store = await ready_store(view.store)
    return await in_thread(_listed, this_host(), store, view, path)


@task(task_run_name="copy files out of {view.name}@{view.backup}", **RETRY_STORE)
async def copy_files(view: BackupView, paths: Sequence[str], volume: str, to_dir: str, run: str) -> FilesRestored:
    """Afterwards this host has these paths of the backup in `to_dir`, or in a new folder of `volume`. Twice is once.

    `run` is whose copies these are: what it has copied before it was killed stays. Raises: Refused when one of them is
    there already; BadInput, UnknownName, Damaged, StoreUnavailable, NoSpace, Cancelled.
    """
    store = await ready_store(view.store)
    return await shown_while(
        f"files of {view.name}",
        lambda tell, cancelled: _copied(this_host(), store, view, paths, _Target(volume, to_dir, run), cancelled),
    )


class _Target:
    """Where the files of a run go. A run that is resumed finds what it has decided, and so knows its own copies."""

    def __init__(self, volume: str, to_dir: str, run: str) -> None:
        self._volume, self._to_dir, self._run = volume, to_dir, run

    def ready(self, host: ThisHost, backup: int, paths: Sequence[str]) -> tuple[Path, list[str]]:
        """The folder, which is there, and which of the paths this run has copied already. Raises: Refused, BadInput."""
        note = self._note(host)
        if note.is_file():
            target = Path(note.read_text())
            self._make(host, target)
            return target, [path for path in paths if os.path.lexists(target / path)]
        target = Path(self._to_dir) if self._to_dir else self._free(host, backup)
        if present := [path for path in paths if os.path.lexists(target / path)]:
            raise Refused(f"{target / present[0]} is there already", "choose another folder, or move it away")
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(note, os.fsencode(target), mode=0o600)
        self._make(host, target)
        return target, []

    def folder(self, target: Path) -> str:
        """What it is called inside the volume; "" when it is elsewhere."""
        return "" if self._to_dir else target.name

    def forget(self, host: ThisHost) -> None:
        """Afterwards nothing is kept of the run but its copies."""
        self._note(host).unlink(missing_ok=True)

    def _note(self, host: ThisHost) -> Path:
        return host.places.state / "file-restores" / self._run

    def _free(self, host: ThisHost, backup: int) -> Path:
        data = host.pool.mount(self._volume)
        taken, wanted = {one.name for one in data.iterdir()}, f"restored-{backup}"
        return data / next(n for i in range(len(taken) + 1) if (n := f"{wanted}-{i + 1}" if i else wanted) not in taken)

    def _make(self, host: ThisHost, target: Path) -> None:
        """Inside a volume it belongs to whom the volume's root does, so that they get at what is in it."""
        try:
            target.mkdir(mode=0o700)
        except FileExistsError:
            if not stat.S_ISDIR(target.lstat().st_mode):
                raise Refused(f"{target} is no folder", "choose another one") from None
            return
        except FileNotFoundError as error:
            raise BadInput(f"there is no {target.parent} on {host.name}", "make it, or name another folder") from error
        if not self._to_dir:
            about = target.parent.stat()
            os.chown(target, about.st_uid, about.st_gid, follow_symlinks=False)
            target.chmod(stat.S_IMODE(about.st_mode))


def _listed(host: ThisHost, store: StampedeStore, view: BackupView, path: str) -> FilesListed:
    with opened_backup(store.access, view.name, view.backup, host.places) as opened:
        entries = entries_of(opened, path)
    return FilesListed(
        volume=view.name,
        backup=view.backup,
        store=view.store,
        created=view.created,
        path=path,
        entries=entries[:MOST_ENTRIES],
        left_off=max(len(entries) - MOST_ENTRIES, 0),
        received_bytes=opened.received_bytes,
    )


def _copied(
    host: ThisHost,
    store: StampedeStore,
    view: BackupView,
    paths: Sequence[str],
    where: _Target,
    cancelled: threading.Event,
) -> FilesRestored:
    began = time.monotonic()
    try:
        with opened_backup(store.access, view.name, view.backup, host.places) as opened:
            target, there = where.ready(host, view.backup, paths)
            done = copy_out(opened, paths, target, there=there, cancelled=cancelled)
    except Transient:
        raise  # it is tried again, and goes on
    except OSError as error:
        where.forget(host)
        if error.errno == errno.ENOSPC:
            raise NoSpace(f"there is no room for the files of {view.name}", "make room, or use --to-dir") from error
        raise DaemonError(f"files of {view.name} cannot be copied: {error}", "use another --to-dir") from error
    except Exception:
        where.forget(host)
        raise
    where.forget(host)
    return FilesRestored(
        stack=view.stack,
        volume=view.name,
        backup=view.backup,
        store=view.store,
        created=view.created,
        host=host.name,
        target=str(target),
        folder=where.folder(target),
        paths=tuple(paths),
        files=done.files,
        folders=done.folders,
        copied_bytes=done.bytes,
        received_bytes=opened.received_bytes,
        left_out=tuple(os.fsencode(path).decode(errors="replace") for path in done.left_out),
        duration_s=round(time.monotonic() - began, 3),
    )
