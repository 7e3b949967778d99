"""Commands about the control plane: the server and the worker of this machine, and copies of what it knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stampede.cli import options

server_app = typer.Typer(
    name="server",
    help="The control plane of this machine: Prefect's server and a worker.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@server_app.command("start")
def start(
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port on loopback; the one it had before, else 4200.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; the one it had before, else 127.0.0.1.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Start the control plane if it does not run; it goes on running after this command."""
    from stampede import control_plane
    from stampede.cli.control_plane import show_status
    from stampede.cli.session import say
    from stampede.places import Places

    places = Places.of_environment()
    control_plane.start(places, port=port, host=host, progress=say)
    show_status(places, as_json=as_json)


@server_app.command("stop")
def stop(
    everything: Annotated[
        bool, typer.Option("--everything", help="The balancer too: published ports are closed until the next start.")
    ] = False,
) -> None:
    """Stop the control plane. What runs goes on running, and its ports stay open."""
    from stampede import control_plane
    from stampede.places import Places

    control_plane.stop(Places.of_environment(), everything=everything)
    rest = "the balancer too; containers go on running" if everything else "what it deployed goes on running"
    print(f"the control plane has stopped; {rest}")


@server_app.command("status")
def status(as_json: options.Json = False) -> None:
    """Show where the server answers and which processes run. Exit code 5 when it is not healthy."""
    from stampede.cli.control_plane import show_status
    from stampede.places import Places

    if not show_status(Places.of_environment(), as_json=as_json):
        raise typer.Exit(5)


@server_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="File to write; it holds secrets and gets mode 0600. - is stdout.")],
    server: options.Server = None,
) -> None:
    """Write everything the server knows of stacks and hosts into one file, for `import` elsewhere."""
    from stampede.cli.copies import write_copy
    from stampede.cli.session import open_client

    with open_client(server) as client:
        write_copy(client, file)


@server_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="File that `export` wrote. - is standard input.")],
    server: options.Server = None,
) -> None:
    """Bring what `export` wrote into this server. What it has already stays as it is."""
    from stampede.cli.copies import read_copy
    from stampede.cli.session import open_client

    with open_client(server) as client:
        read_copy(client, file)


@server_app.command("rebuild")
def rebuild(as_json: options.Json = False, server: options.Server = None) -> None:
    """Fill an empty server from what hosts keep: revisions of the stacks they run. For when the database is lost."""
    from stampede.cli.copies import rebuild_from_hosts
    from stampede.cli.session import open_client

    with open_client(server) as client:
        rebuild_from_hosts(client, as_json=as_json)


def version() -> None:
    """Print the version."""
    from stampede import __version__

    print(__version__)
