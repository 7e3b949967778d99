"""Commands by which things leave Stampede and stay usable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stampede.cli import groups, options
from stampede.errors import BadInput


def eject(
    stack: Annotated[str | None, typer.Argument(metavar="[STACK]", help="Default: that of the file here.")] = None,
    *,
    which: groups.StackName,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Directory on the stack's host. Default: ./STACK-ejected."),
    ] = None,
    replicas_to_one: Annotated[
        bool, typer.Option("--replicas-to-one", help="Services that publish a port go on with one replica.")
    ] = False,
    change: groups.Change,
    yes: options.Yes = False,
) -> None:
    """Turn a stack into plain Docker Compose, with its data: shows the plan, then asks. Stampede forgets the stack."""
    from stampede.cli.asking import confirm
    from stampede.cli.verbs import tell_plan
    from stampede.client import EjectStack

    with change.client() as client:
        name = (replace(which, project_name=stack) if stack else which).chosen(client)
        directory = _on_the_host(to, name, change.server)
        request = EjectStack(stack=name, directory=directory, replicas_to_one=replicas_to_one or None)
        if not (yes or change.dry_run):
            tell_plan(change.try_out(client, request))
            confirm(f"Eject {name} this way?")
        change.carry_out(client, request)


def _on_the_host(to: Path | None, stack: str, server: str | None) -> str:
    """The directory as the host calls it. Only on the machine of the control plane is "here" the same place.

    Raises: BadInput.
    """
    if server is None:
        return str((to or Path(f"{stack}-ejected")).absolute())
    if to is None or not to.is_absolute():
        raise BadInput(
            "the directory is made on the stack's host, which may not be this machine",
            f"--to names it with its whole path, such as --to /srv/{stack}",
        )
    return str(to)
