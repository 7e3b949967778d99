"""Commands about backups of managed volumes."""

from __future__ import annotations

from typing import Annotated

import typer

from stampede.cli import groups, options
from stampede.cli.data_targets import Target
from stampede.cli.groups import spread
from stampede.errors import BadInput

backup_app = typer.Typer(
    name="backup",
    help="Backups of managed volumes: encrypted, incremental, in a store (stampede store).",
    rich_markup_mode=None,
    no_args_is_help=True,
)
LEVELS = ("quick", "sample", "full")
DAMAGED = 1

Store = Annotated[str | None, typer.Option("--store", help="Default: that of the stack's file, else all there are.")]
Before = Annotated[
    str | None, typer.Option("--before", metavar="TIME", help="The newest from before, such as 2026-01-31T12:00.")
]
Number = Annotated[int | None, typer.Option("--backup", min=1, help="Its number; default: the newest.")]
Needed = Annotated[str, typer.Argument(metavar="STACK[/VOLUME]", help="Such as shop/uploads.")]


@backup_app.command("run")
@spread
def run(target: Target = None, *, change: groups.Change) -> None:
    """Back up what the stack file says so of (x-backups), as it is at one moment. The stack goes on meanwhile."""
    from stampede.cli.backup_tables import show_backed_up
    from stampede.cli.data_targets import chosen
    from stampede.client.backup_requests import BackupStack

    with change.client() as client:
        which = chosen(client, target)
        request = BackupStack(stack=which.stack, volumes=which.volumes)
        change.ask(client, request, show_backed_up)


@backup_app.command("ls")
@spread
def ls(
    target: Target = None,
    *,
    store: Store = None,
    path: Annotated[
        str | None, typer.Option("--path", metavar="DIR", help="What a backup has in this folder; / is all of it.")
    ] = None,
    backup: Number = None,
    answer: groups.Answer,
) -> None:
    """List backups, oldest first, as the stores themselves have them; of all stacks if none is named."""
    from stampede.cli.backup_tables import show_backups
    from stampede.cli.data_targets import chosen, one_volume
    from stampede.cli.file_tables import show_files
    from stampede.cli.verbs import result_of
    from stampede.client.backup_requests import ListBackups, ListFiles

    if path is None and backup is not None:
        raise BadInput("--backup is about files", "with --path, such as --path /")
    with answer.client() as client:
        if path is not None:
            stack, volume = one_volume(target or "")
            files = ListFiles(stack=stack, volume=volume, path=path, store=store, backup=backup)
            show_files(result_of(client, files), as_json=answer.as_json)
            return
        which = chosen(client, target) if target else None
        request = ListBackups(
            stack=which.stack if which else None, volumes=which.volumes if which else None, store=store
        )
        show_backups(result_of(client, request), as_json=answer.as_json)


@backup_app.command("restore")
@spread
def restore(
    target: Needed,
    *,
    store: Store = None,
    backup: Number = None,
    before: Before = None,
    to: Annotated[str | None, typer.Option("--to", metavar="VOLUME", help="What the new volume is called.")] = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Into the volumes themselves. What they hold is kept as a snapshot."),
    ] = False,
    path: Annotated[
        list[str] | None, typer.Option("--path", help="Only this file or folder, to restored-N in the volume.")
    ] = None,
    to_dir: Annotated[
        str | None, typer.Option("--to-dir", metavar="DIR", help="With --path: to this folder of the host instead.")
    ] = None,
    instant: Annotated[
        bool, typer.Option("--instant", help="A new volume that can be used at once, while the rest of it is fetched.")
    ] = False,
    stack: Annotated[
        bool, typer.Option("--stack", help="The whole stack, which is not here: its data, and it runs again.")
    ] = False,
    change: groups.Change,
    yes: options.Yes = False,
) -> None:
    """Restore to new volumes; or with --in-place to where it was, or with --stack an app that is not here any more."""
    from stampede.cli.asking import confirm
    from stampede.cli.backup_tables import show_instant, show_restored, tell_restore
    from stampede.cli.data_targets import chosen, one_volume
    from stampede.cli.file_tables import show_copied
    from stampede.client.backup_requests import RecoverStack, RestoreBackup, RestoreFiles, RestoreInstantly

    until = _moment(before)
    if stack and (in_place or to or backup or path or instant or "/" in target):
        raise BadInput("--stack brings back a whole stack", "with --store and --before only")
    if (path and (in_place or to)) or (to_dir and not path):
        raise BadInput("--path copies single files", "with --to-dir, or to a new folder of the volume")
    if instant and (in_place or path):
        raise BadInput("--instant makes a new volume", "with --to, --backup, --before and --store only")
    with change.client() as client:
        if path:
            name, volume = one_volume(target)
            files = RestoreFiles(
                stack=name, volume=volume, paths=path, store=store, backup=backup, until=until, to_dir=to_dir
            )
            change.ask(client, files, show_copied)
            return
        if instant:
            name, volume = one_volume(target)
            at_once = RestoreInstantly(stack=name, volume=volume, store=store, backup=backup, until=until, to=to)
            change.ask(client, at_once, show_instant)
            return
        which = chosen(client, target)
        if stack:
            change.ask(client, RecoverStack(stack=which.stack, store=store, until=until), show_restored)
            return
        request = RestoreBackup(
            stack=which.stack,
            volumes=which.volumes,
            store=store,
            backup=backup,
            until=until,
            to=to,
            in_place=in_place or None,
        )
        if in_place and not (yes or change.dry_run):
            tell_restore(change.tried_out(client, request))
            confirm(f"Restore {target} this way?")
        change.ask(client, request, show_restored)


@backup_app.command("verify")
@spread
def verify(
    target: Target = None,
    *,
    store: Store = None,
    level: Annotated[
        str, typer.Option("--level", metavar="|".join(LEVELS), help="What is looked at: objects, 2 % of content, all.")
    ] = "full",
    why: options.Why = "",
    answer: groups.Answer,
) -> None:
    """Read stored backups again, and name what is bad and the backups it damages. Exit code 1 if anything is."""
    from stampede.cli.backup_tables import show_verified
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import timed_result_of
    from stampede.client.backup_requests import VerifyBackups

    if level not in LEVELS:
        raise BadInput(f"--level {level} is not known", f"one of {', '.join(LEVELS)}")
    with answer.client() as client:
        which = chosen(client, target)
        request = VerifyBackups(
            stack=which.stack,
            volumes=which.volumes,
            store=store,
            level=level,
            requested_by=client.requested_by,
            why=why or None,
        )
        found, about = timed_result_of(client, request)
        show_verified(found, about, as_json=answer.as_json)
    if found["bad"]:
        raise typer.Exit(DAMAGED)


@backup_app.command("prune")
@spread
def prune(
    target: Target = None,
    *,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="KIND=N", help="Such as daily=7; default: what the stack file says."),
    ] = None,
    dry_run: options.DryRun = False,
    why: options.Why = "",
    answer: groups.Answer,
) -> None:
    """Drop backups that the stack file does not keep. Their room is freed a day later."""
    from stampede.cli.backup_tables import show_pruned
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import timed_result_of
    from stampede.client.backup_requests import PruneBackups

    rule = dict(_number_of(word) for word in keep or ()) or None
    with answer.client() as client:
        which = chosen(client, target)
        request = PruneBackups(
            stack=which.stack,
            volumes=which.volumes,
            keep=rule,
            dry_run=dry_run or None,
            requested_by=client.requested_by,
            why=why or None,
        )
        show_pruned(*timed_result_of(client, request), as_json=answer.as_json)


def _number_of(word: str) -> tuple[str, int]:
    from stampede.retention import Retention

    kind, _, number = word.partition("=")
    if kind not in Retention.model_fields or not number.isdecimal():
        raise BadInput(f"--keep {word} is not known", f"such as daily=7; {', '.join(Retention.model_fields)}")
    return kind, int(number)


def _moment(text: str | None) -> str | None:
    """A moment with its zone, which is that of here if none is said."""
    from datetime import datetime

    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError as error:
        raise BadInput(f"--before {text} is no moment", "such as 2026-01-31T12:00, or with a zone +00:00") from error


@backup_app.command("drill")
@spread
def drill(target: Target = None, *, store: Store = None, why: options.Why = "", answer: groups.Answer) -> None:
    """Prove that the newest backups can be used: restore them beside the app and run its services on them, cut off."""
    from stampede.cli.backup_tables import show_drill
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import timed_result_of
    from stampede.client.backup_requests import DrillRestore

    with answer.client() as client:
        which = chosen(client, target)
        request = DrillRestore(
            stack=which.stack,
            volumes=which.volumes,
            store=store,
            requested_by=client.requested_by,
            why=why or None,
        )
        show_drill(*timed_result_of(client, request), as_json=answer.as_json)
