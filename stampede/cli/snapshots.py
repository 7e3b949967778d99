"""Commands about snapshots of managed volumes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stampede.cli import groups, options
from stampede.cli.data_targets import Target
from stampede.cli.groups import spread

snapshot_app = typer.Typer(
    name="snapshot",
    help="Snapshots of managed volumes: what they held at one moment, on the same disk. They are no backups.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Stall = Annotated[
    float | None,
    typer.Option("--allow-stall", min=0.0, help="Seconds for which writers may be stopped; 1 if not said."),
]
AnySnapshot = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="`stampede snapshot ls` lists them.")]


@snapshot_app.command("create")
@spread
def create(target: Target = None, *, allow_stall: Stall = None, why: options.Why = "", answer: groups.Answer) -> None:
    """Take a snapshot; several volumes have it of one and the same moment."""
    from stampede.cli.data_tables import show_taken
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import timed_result_of
    from stampede.client.volume_requests import SnapshotStack

    with answer.client() as client:
        which = chosen(client, target)
        request = SnapshotStack(
            stack=which.stack,
            volumes=which.volumes,
            allowed_stall_s=allow_stall,
            requested_by=client.requested_by,
            why=why or None,
        )
        show_taken(*timed_result_of(client, request), as_json=answer.as_json)


@snapshot_app.command("ls")
@spread
def ls(target: Target = None, *, answer: groups.Answer) -> None:
    """List snapshots, oldest first; of all stacks if none is named."""
    from stampede.cli.data_tables import show_snapshots
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import result_of
    from stampede.client.volume_requests import ListSnapshots

    with answer.client() as client:
        which = chosen(client, target) if target else None
        request = ListSnapshots(stack=which.stack if which else None, volumes=which.volumes if which else None)
        show_snapshots(result_of(client, request), as_json=answer.as_json)


@snapshot_app.command("restore")
@spread
def restore(
    target: Annotated[str, typer.Argument(metavar="STACK[/VOLUME]", help="Such as shop/uploads.")],
    snapshot: Annotated[str | None, typer.Argument(metavar="[SNAPSHOT]", help="Default: the newest.")] = None,
    *,
    change: groups.Change,
    yes: options.Yes = False,
) -> None:
    """Put volumes back to a snapshot. What uses them stops and starts again; what is replaced is kept as a snapshot."""
    from stampede.cli.asking import confirm
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import tell_plan
    from stampede.client.volume_requests import RestoreStack

    with change.client() as client:
        which = chosen(client, target)
        request = RestoreStack(stack=which.stack, volumes=which.volumes, snapshot=snapshot)
        if not (yes or change.dry_run):
            tell_plan(change.try_out(client, request))
            confirm(f"Restore {target} this way?")
        change.carry_out(client, request)


@snapshot_app.command("rm")
@spread
def rm(
    target: Annotated[str, typer.Argument(metavar="STACK[/VOLUME]", help="Such as shop/uploads.")],
    snapshot: AnySnapshot,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also one that the next backup is compared with: that reads everything.")
    ] = False,
    yes: options.Yes = False,
    answer: groups.Answer,
) -> None:
    """Remove a snapshot; of a stack, that of all its volumes."""
    from stampede.cli.asking import confirm
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import result_of
    from stampede.client.volume_requests import RemoveSnapshot

    with answer.client() as client:
        which = chosen(client, target)
        if not yes:
            confirm(f"Remove snapshot {snapshot} of {target}?")
        request = RemoveSnapshot(stack=which.stack, snapshot=snapshot, volumes=which.volumes, force=force or None)
        removed = result_of(client, request)
    if answer.as_json:
        print(json.dumps({"stack": which.stack, "snapshot": snapshot, "removed": removed}, indent=2))
    else:
        print(f"{snapshot} of {target} is gone ({removed} removed)")
