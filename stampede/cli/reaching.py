"""Commands that reach into instances: with the `docker` program here, or over the operator's ssh on another host."""

from __future__ import annotations

from typing import Annotated

import typer

from stampede.cli import options


def logs(
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE[.SLOT]]...", help="Default: all.")] = None,
    project_name: options.Project = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")] = False,
    tail: Annotated[str, typer.Option("--tail", "-n", metavar="N|all", help="Only the last N lines of each.")] = "all",
    since: Annotated[str, typer.Option("--since", help="Only what is newer: 10m, or 2026-01-31T12:00:00.")] = "",
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Begin lines with their time.")] = False,
    server: options.Server = None,
) -> None:
    """Print the logs of instances, each line with its instance in front."""
    from stampede.cli.instance_logs import print_logs
    from stampede.cli.loading import chosen_stack
    from stampede.cli.selection import select_instances
    from stampede.cli.session import open_client

    with open_client(server) as client:
        stack = chosen_stack(client, project_name)
        instances = select_instances(client.ps(stack), stack, services or [])
    print_logs(instances, server, follow=follow, tail=tail, since=since, timestamps=timestamps)


def exec_(
    instance: Annotated[str, typer.Argument(metavar="SERVICE[.SLOT]", help="Such as web or web.2.")],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="Program and its arguments.")],
    project_name: options.Project = None,
    user: Annotated[str, typer.Option("--user", "-u", help="User inside, instead of the image's.")] = "",
    workdir: Annotated[str, typer.Option("--workdir", "-w", help="Folder inside.")] = "",
    env: Annotated[list[str] | None, typer.Option("--env", "-e", metavar="KEY=VALUE", help="Variable to set.")] = None,
    no_tty: Annotated[bool, typer.Option("--no-tty", "-T", help="No terminal, also where there is one.")] = False,
    server: options.Server = None,
) -> None:
    """Run a command inside an instance. Ends with the command's exit code."""
    from stampede.cli.docker_program import exec_argv, replace_process
    from stampede.cli.loading import chosen_stack
    from stampede.cli.selection import select_one
    from stampede.cli.session import open_client

    with open_client(server) as client:
        stack = chosen_stack(client, project_name)
        found = select_one(client.ps(stack), stack, instance)
    argv = exec_argv(found.name, command, user=user, workdir=workdir, env=env or [], tty=not no_tty)
    replace_process(argv, found.host, server)


# Everything after SERVICE belongs to the command, options included.
exec_.context_settings = {"allow_interspersed_args": False}  # type: ignore[attr-defined]
