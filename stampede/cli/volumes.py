"""Commands about managed volumes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stampede.cli import groups, options
from stampede.cli.data_targets import Target, Volume
from stampede.cli.groups import spread

volume_app = typer.Typer(
    name="volume",
    help="Managed volumes: those of a stack file with x-size, x-snapshots or x-backups.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Size = Annotated[str, typer.Argument(metavar="SIZE", help="Such as 500M, 20G or 1.5T (powers of 1024).")]


@volume_app.command("ls")
@spread
def ls(target: Target = None, *, answer: groups.Answer) -> None:
    """List managed volumes with what they hold, and the pools they are in; of all stacks if none is named."""
    from stampede.cli.data_tables import show_volumes
    from stampede.cli.data_targets import chosen
    from stampede.cli.verbs import result_of
    from stampede.client.volume_requests import ListVolumes

    with answer.client() as client:
        which = chosen(client, target) if target else None
        found = result_of(client, ListVolumes(stack=which.stack if which else None))
        show_volumes(found, only=which.volume if which else None, as_json=answer.as_json)


@volume_app.command("create")
@spread
def create(
    volume: Volume,
    *,
    size: Annotated[str, typer.Option("--size", help="How much it holds, such as 20G.")],
    host: Annotated[str | None, typer.Option("--host", help="On which host; default: the first.")] = None,
    answer: groups.Answer,
) -> None:
    """Make an empty managed volume, before a stack file names it."""
    from stampede.cli.data_tables import show_volume
    from stampede.cli.data_targets import one_volume
    from stampede.cli.verbs import result_of
    from stampede.client.volume_requests import CreateVolume
    from stampede.volumes.settings import parse_size

    stack, key = one_volume(volume)
    request = CreateVolume(stack=stack, volume=key, size_bytes=parse_size(size), host=host)
    with answer.client() as client:
        show_volume("created", result_of(client, request), as_json=answer.as_json)


@volume_app.command("clone")
@spread
def clone(
    volume: Volume,
    new: Annotated[str, typer.Argument(metavar="[STACK/]NEW", help="The clone, such as uploads-test.")],
    *,
    snapshot: Annotated[str | None, typer.Option("--snapshot", help="What it held then, instead of now.")] = None,
    size: Annotated[str | None, typer.Option("--size", help="More than the original holds.")] = None,
    answer: groups.Answer,
) -> None:
    """Make a volume with the content of another, in milliseconds; nothing that happens to one shows in the other."""
    from stampede.cli.data_tables import show_volume
    from stampede.cli.data_targets import one_volume
    from stampede.cli.verbs import result_of
    from stampede.client.volume_requests import CloneVolume
    from stampede.volumes.settings import parse_size

    stack, key = one_volume(volume)
    new_stack, new_key = one_volume(new) if "/" in new else (None, new)
    request = CloneVolume(
        stack=stack,
        volume=key,
        new=new_key,
        new_stack=new_stack,
        snapshot=snapshot,
        size_bytes=parse_size(size) if size else None,
    )
    with answer.client() as client:
        show_volume("cloned", result_of(client, request), as_json=answer.as_json)


@volume_app.command("resize")
@spread
def resize(volume: Volume, size: Size, *, change: groups.Change) -> None:
    """Let a volume hold more. Where the kernel grows only what is not in use, its instances stop for a moment."""
    from stampede.cli.data_targets import one_volume
    from stampede.cli.session import say
    from stampede.client.volume_requests import ResizeVolume
    from stampede.volumes.settings import parse_size

    stack, key = one_volume(volume)
    with change.client() as client:
        change.carry_out(client, ResizeVolume(stack=stack, volume=key, size_bytes=parse_size(size)))
        say(f"hint: say x-size: {size} of it in the stack file, too")


@volume_app.command("adopt")
@spread
def adopt(
    volume: Volume,
    *,
    size: Annotated[str | None, typer.Option("--size", help="How much it holds; default: what the file says.")] = None,
    files: groups.StackFiles,
    change: groups.Change,
    yes: options.Yes = False,
) -> None:
    """Make a volume of Docker's own a managed one: copies its data, shows what stops, asks, keeps the original."""
    from stampede.cli.asking import confirm
    from stampede.cli.data_targets import one_volume
    from stampede.cli.verbs import tell_plan
    from stampede.client.volume_requests import AdoptVolume
    from stampede.volumes.settings import parse_size

    stack, key = one_volume(volume)
    size_bytes = parse_size(size) if size else _size_in(files, stack, key)
    with change.client() as client:
        request = AdoptVolume(stack=stack, volume=key, size_bytes=size_bytes)
        if not (yes or change.dry_run):
            tell_plan(change.try_out(client, request))
            confirm(f"Adopt {volume} this way?")
        change.carry_out(client, request)


@volume_app.command("compact")
@spread
def compact(volume: Volume, *, change: groups.Change, yes: options.Yes = False) -> None:
    """Lay its image out anew, so that snapshots of it are quick again. What uses it stops meanwhile."""
    from stampede.cli.asking import confirm
    from stampede.cli.data_targets import one_volume
    from stampede.client.volume_requests import CompactVolume

    stack, key = one_volume(volume)
    with change.client() as client:
        if not (yes or change.dry_run):
            confirm(f"Compact {volume}? What uses it stops until all of it has been copied.")
        change.carry_out(client, CompactVolume(stack=stack, volume=key))


@volume_app.command("rm")
@spread
def rm(volume: Volume, *, yes: options.Yes = False, answer: groups.Answer) -> None:
    """Remove a volume with its data and all its snapshots. Backups of it stay. Refused while its stack uses it."""
    from stampede.cli.asking import confirm
    from stampede.cli.data_targets import one_volume
    from stampede.cli.verbs import result_of
    from stampede.client.volume_requests import RemoveVolume

    stack, key = one_volume(volume)
    with answer.client() as client:
        if not yes:
            confirm(f"Remove {volume}, its data and all its snapshots?")
        result_of(client, RemoveVolume(stack=stack, volume=key, requested_by=client.requested_by))
    print(json.dumps({"stack": stack, "removed": [volume]}, indent=2) if answer.as_json else f"{volume} is gone")


def _size_in(files: groups.StackFiles, stack: str, key: str) -> int:
    """What the stack file says the volume holds. Raises: BadInput when it is not a managed one there."""
    from stampede.errors import BadInput

    said = files.load().stack
    volume = said.volumes.get(key) if said.name == stack else None
    if volume is None or not volume.managed:
        raise BadInput(f"the stack file here does not say how much {stack}/{key} holds", "--size 20G, or x-size in it")
    return volume.size_bytes
