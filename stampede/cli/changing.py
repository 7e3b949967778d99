"""Commands that change what runs: each starts one flow and follows it."""

from __future__ import annotations

from typing import Annotated

import typer

from stampede.cli import groups, options
from stampede.errors import BadInput


def up(
    *,
    files: groups.StackFiles,
    build: Annotated[bool, typer.Option("--build", help="Build images before, also those that are there.")] = False,
    pull: options.Pull = None,
    force_recreate: Annotated[
        bool, typer.Option("--force-recreate", help="Replace instances even if nothing changed.")
    ] = False,
    skip_snapshot: Annotated[
        bool, typer.Option("--skip-snapshot", help="Deploy without the snapshots that before_deploy asks for.")
    ] = False,
    change: groups.Change,
    yes: options.Yes = False,
) -> None:
    """Make what runs equal to the stack file: the smallest change, old replicas serving until new ones are healthy."""
    del yes  # `up` asks nothing; scripts may say --yes to it as to `down` and `adopt`.
    _check_pull(pull)
    from stampede.cli.loading import pointing_into
    from stampede.client import DeployStack

    loaded = files.load()
    name = loaded.stack.name
    with change.client() as client, pointing_into(loaded):
        request = DeployStack(
            stack=name,
            candidate=client.send(name, loaded.document),
            pull=pull,
            build=build or None,
            force_recreate=force_recreate or None,
            skip_snapshot=skip_snapshot or None,
        )
        change.carry_out(client, request)


def scale(
    replicas: Annotated[list[str], typer.Argument(metavar="SERVICE=N...", help="Such as web=5.")],
    *,
    which: groups.StackName,
    change: groups.Change,
) -> None:
    """Run another number of replicas of some services."""
    wanted = _replicas(replicas)
    from stampede.client import ScaleService

    with change.client() as client:
        change.carry_out(client, ScaleService(stack=which.chosen(client), replicas=wanted))


def rollback(
    revision: Annotated[
        int | None, typer.Argument(metavar="[REVISION]", min=1, help="Default: the last that served before.")
    ] = None,
    *,
    with_data: Annotated[
        bool,
        typer.Option("--with-data", help="Its volumes too: to the snapshots taken before it was replaced."),
    ] = False,
    which: groups.StackName,
    change: groups.Change,
    yes: options.Yes = False,
) -> None:
    """Go back to a kept revision (stampede history lists them)."""
    from stampede.cli.asking import confirm
    from stampede.cli.verbs import tell_plan
    from stampede.client import RollbackStack

    with change.client() as client:
        stack = which.chosen(client)
        request = RollbackStack(stack=stack, revision=revision, with_data=with_data or None)
        if with_data and not (yes or change.dry_run):
            tell_plan(change.try_out(client, request))
            confirm(f"Roll back {stack} with its data this way?")
        change.carry_out(client, request)


def restart(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Default: all but jobs that others wait for.")
    ] = None,
    *,
    which: groups.StackName,
    change: groups.Change,
) -> None:
    """Restart instances of services, in waves like an update."""
    from stampede.client import RestartService

    with change.client() as client:
        change.carry_out(client, RestartService(stack=which.chosen(client), services=services or []))


def down(
    *,
    which: groups.StackName,
    volumes: Annotated[
        bool, typer.Option("--volumes", "-v", help="Remove its named volumes too: the data is lost.")
    ] = False,
    change: groups.Change,
    yes: options.Yes = False,
) -> None:
    """Remove what a stack runs. Volumes stay, unless --volumes is said; its revisions stay for a later rollback."""
    from stampede.cli.asking import confirm
    from stampede.client import RemoveStack

    with change.client() as client:
        stack = which.chosen(client)
        if not (yes or change.dry_run):
            lost = " and the data of its volumes" if volumes else " (its volumes stay)"
            confirm(f"Remove stack {stack}{lost}?", unattended=not volumes)
        change.carry_out(client, RemoveStack(stack=stack, volumes=volumes))


def adopt(*, files: groups.StackFiles, change: groups.Change, yes: options.Yes = False) -> None:
    """Take over a running Compose project of the stack's name: shows the plan, then asks. The originals are kept."""
    from stampede.cli.asking import confirm
    from stampede.cli.loading import pointing_into
    from stampede.cli.verbs import tell_plan
    from stampede.client import AdoptStack

    loaded = files.load()
    name = loaded.stack.name
    with change.client() as client, pointing_into(loaded):
        request = AdoptStack(stack=name, candidate=client.send(name, loaded.document))
        if not (yes or change.dry_run):
            tell_plan(change.try_out(client, request))
            confirm(f"Adopt {name} this way?")
        change.carry_out(client, request)


def _replicas(words: list[str]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for word in words:
        service, equals, number = word.partition("=")
        if not equals or not service or not number.isdecimal():
            raise BadInput(f"{word!r} does not say how many of what", "such as: stampede scale web=5")
        wanted[service] = int(number)
    return wanted


def _check_pull(pull: str | None) -> None:
    if pull is not None and pull not in options.PULL_POLICIES:
        raise BadInput(f"--pull {pull} is not known", f"one of {', '.join(options.PULL_POLICIES)}")
