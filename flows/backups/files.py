"""Single files of backups: what there is, and copies of them beside what the volume holds now."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath

from prefect import flow
from prefect.runtime import flow_run

from stampede.backup.views import BackupView, FilesListed, FilesRestored, outermost, picked
from stampede.errors import BadInput, UnknownName
from stampede.flows.backups.choosing import host_for
from stampede.flows.backups.looking import backups_in
from stampede.flows.volumes.hosts import volumes_of
from stampede.tasks.events import announcement
from stampede.tasks.file_restores import copy_files, list_folder
from stampede.tasks.on_host import on_host
from stampede.volumes.views import key_of


@flow(name="list-folder", persist_result=True)
async def list_folder_on_host(view: BackupView, path: str) -> FilesListed:
    """What the backup has in this folder."""
    return await list_folder(view, path)


@flow(name="copy-files", persist_result=True)
async def copy_files_on_host(view: BackupView, paths: list[str], volume: str, to_dir: str, run: str) -> FilesRestored:
    """Afterwards this host has these paths of the backup."""
    return await copy_files(view, paths, volume, to_dir, run)


@flow(name="list-files", flow_run_name="look into a backup of {stack}/{volume}", persist_result=True)
async def list_files(
    stack: str,
    volume: str,
    path: str = "",
    store: str | None = None,
    backup: int | None = None,
    until: datetime | None = None,
) -> FilesListed:
    """What a backup of the volume has in a folder: the newest, the one numbered, or the newest not after `until`.

    Raises: BackupError, UnknownName when there is no such backup or no such path; Damaged, StoreUnavailable.
    """
    (view,) = picked(await backups_in(stack, [volume], store), stack, [volume], backup, until)
    host = await host_for(view, await volumes_of(stack))
    return await on_host(host, list_folder_on_host, step="look", view=view, path=path)


@flow(name="restore-files", flow_run_name="restore files of {stack}/{volume}", persist_result=True)
async def restore_files(
    stack: str,
    volume: str,
    paths: list[str],
    store: str | None = None,
    backup: int | None = None,
    until: datetime | None = None,
    to_dir: str = "",
    dry_run: bool = False,
    requested_by: str = "",
    why: str = "",
) -> FilesRestored:
    """Afterwards these paths of a backup are in a new folder of the volume, `restored-<backup>`, or in `to_dir` of its
    host, with owners and modes; nothing that is there is replaced, and whoever uses the volume goes on.

    Raises: as above; BadInput, Refused when one of them is in `to_dir` already, NoSpace.
    """
    wanted = outermost(paths)
    if to_dir and not PurePosixPath(to_dir).is_absolute():
        raise BadInput(f"--to-dir {to_dir} is not absolute", "it is a folder on the host that has the volume")
    (view,) = picked(await backups_in(stack, [volume], store), stack, [volume], backup, until)
    found = await volumes_of(stack)
    if not to_dir and volume not in {key_of(one) for one in found.all}:
        hint = f"--to-dir names a folder on the host; or restore all of it: stampede backup restore {view.name}"
        raise UnknownName(f"there is no volume {view.name} to put files into", hint)
    host = await host_for(view, found)
    if dry_run:
        for path in wanted:
            await on_host(host, list_folder_on_host, step=f"look at {path}", view=view, path=path)
        return _planned(view, host, wanted)
    async with announcement(stack, by=requested_by, why=why) as payload:
        done = await on_host(
            host,
            copy_files_on_host,
            step="copy",
            view=view,
            paths=list(wanted),
            volume="" if to_dir else found.one(volume).name,
            to_dir=to_dir,
            run=str(flow_run.id or ""),
        )
        payload |= {"volumes": [view.name], "restored_bytes": done.copied_bytes}
    return done


def _planned(view: BackupView, host: str, paths: tuple[str, ...]) -> FilesRestored:
    return FilesRestored(
        stack=view.stack,
        volume=view.name,
        backup=view.backup,
        store=view.store,
        created=view.created,
        host=host,
        paths=paths,
        dry_run=True,
    )
