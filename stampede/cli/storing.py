"""Commands about stores, which are where backups go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stampede.cli import options

store_app = typer.Typer(
    name="store",
    help="Where backups go: buckets of S3, each with a repository that one recovery key opens.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
key_app = typer.Typer(name="key", help="The recovery key of a store.", rich_markup_mode=None, no_args_is_help=True)
store_app.add_typer(key_app, name="key")

LOCK_MODES = ("governance", "compliance")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the store, such as offsite.")]
KeyOut = Annotated[
    Path | None,
    typer.Option("--key-out", help="New file for the recovery key, mode 0600; - prints it, with --json as a field."),
]


@store_app.command("add")
def add(
    name: Name,
    address: Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", help="Where; the bucket has to be there.")],
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Address of the S3 server; Amazon's without one.")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="Region of the bucket; default us-east-1.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="Profile of AWS's own files.")] = None,
    ca_file: Annotated[
        str | None, typer.Option("--ca-file", help="CA of the server's certificate: a path on every host.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Recovery key of the repository that is there; - is stdin.")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="With --key-file: make a repository with this key, there is none yet.")
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="With --key-file: go on with the backups of a cluster that is no more."),
    ] = False,
    lock_days: Annotated[
        int | None,
        typer.Option("--lock-days", min=1, help="Nobody can delete what backups need for so long (object lock)."),
    ] = None,
    lock_mode: Annotated[
        str, typer.Option("--lock-mode", metavar="|".join(LOCK_MODES), help="governance: some may; compliance: nobody.")
    ] = "governance",
    key_out: KeyOut = None,
    as_json: options.Json = False,
    server: options.Server = None,
) -> None:
    """Add a store: hosts try what its server honours, and a repository is made, or joined with --key-file.

    Credentials are those that the AWS command line would use here, or are asked for. The recovery key of a new
    repository is shown once. Whoever loses it and this server loses the backups.
    """
    from stampede.cli.stores import Wanted, add_store

    lock = (lock_days or 0, lock_mode)
    wanted = Wanted(name, address, endpoint, region, profile, ca_file, key_file, new, take_over, key_out, lock)
    add_store(wanted, server, as_json=as_json)


@store_app.command("ls")
def ls(as_json: options.Json = False, server: options.Server = None) -> None:
    """List the stores."""
    from stampede.cli.session import open_client
    from stampede.cli.stores import show_stores

    with open_client(server) as client:
        show_stores(client.stores.all(), as_json=as_json)


@store_app.command("check")
def check(name: Name, as_json: options.Json = False, server: options.Server = None) -> None:
    """Look at a store from every host: it answers, its key opens the repository, and what the server honours now."""
    from stampede.cli.session import open_client
    from stampede.cli.stores import check_store

    with open_client(server) as client:
        check_store(client, name, as_json=as_json)


@store_app.command("rm")
def rm(name: Name, yes: options.Yes = False, server: options.Server = None) -> None:
    """Forget a store. Its backups stay in the bucket, where only the recovery key opens them."""
    from stampede.cli.asking import confirm
    from stampede.cli.session import open_client

    with open_client(server) as client:
        found = client.stores.read(name)
        if not yes:
            confirm(f"Forget store {name}? Backups at {found.address} stay; nothing but the recovery key opens them.")
        client.stores.remove(name)
        print(f"store {name} is forgotten; what is at {found.address} stays there")


@key_app.command("export")
def export(name: Name, key_out: KeyOut = None, as_json: options.Json = False, server: options.Server = None) -> None:
    """Show the recovery key once more, or write it into a file."""
    from stampede.cli.session import open_client
    from stampede.cli.stores import export_key

    with open_client(server) as client:
        export_key(client, name, key_out, as_json=as_json)


@key_app.command("confirm")
def confirm_key(
    name: Name,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="File with the key, instead of typing it; - is stdin.")
    ] = None,
    server: options.Server = None,
) -> None:
    """Show that you have the recovery key: type it, or name a file that holds it. No backup runs before."""
    from stampede.cli.recovery_keys import key_in, typed_key
    from stampede.cli.session import open_client

    with open_client(server) as client:
        client.stores.read(name)
        client.stores.confirm(name, key_in(key_file) if key_file else typed_key(f"Recovery key of store {name}: "))
        print(f"the recovery key of store {name} is confirmed: backups may go there")
