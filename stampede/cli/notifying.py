"""Commands about who is told when something goes wrong."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from stampede.cli import options

notify_app = typer.Typer(
    name="notify",
    help="Who is told when a change, a backup or an instance fails, or a backup does not come.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the notification, such as ops.")]


@notify_app.command("add")
def add(
    name: Name,
    stack: Annotated[
        str, typer.Option("--stack", help="Only about this stack; without it about all, also new ones.")
    ] = "",
    about: Annotated[
        list[str] | None,
        typer.Option("--about", help="changes, backups, instances, pools; several times. Without it all of them."),
    ] = None,
    url_file: Annotated[
        Path | None, typer.Option("--url-file", help="File that holds the address, which is a secret. - is stdin.")
    ] = None,
    url_env: Annotated[str | None, typer.Option("--url-env", help="Variable that holds the address.")] = None,
    email: Annotated[
        str | None, typer.Option("--email", help="Mailbox, several with commas, for a mail server without a login.")
    ] = None,
    smtp: Annotated[str, typer.Option("--smtp", help="That mail server, HOST[:PORT].")] = "localhost:25",
    sender: Annotated[str | None, typer.Option("--from", help="Whom mail is from; stampede@ this machine.")] = None,
    backup_age: Annotated[
        str, typer.Option("--backup-age", help="A stack without a good backup for this long is told of.")
    ] = "26h",
    deaths: Annotated[int, typer.Option("--deaths", min=1, help="So many within ten minutes are told of.")] = 3,
    replace: Annotated[bool, typer.Option("--replace", help="Instead of the one of this name.")] = False,
    server: options.Server = None,
) -> None:
    """Tell somebody from now on. The address, a URL of Slack, Discord, any webhook or Apprise, is asked for."""
    from stampede.cli.session import open_client
    from stampede.client.notifications import Notifications
    from stampede.notify.addresses import described, mail_address
    from stampede.notify.models import Notification, check_name, check_subjects, parse_age

    if email:
        address = mail_address(email, smtp, sender or f"stampede@{socket.getfqdn()}")
    else:
        address = _address(url_file, url_env)
    wanted = Notification(
        name=check_name(name),
        target=described(address),
        stack=stack,
        subjects=check_subjects(tuple(about or ())),
        backup_age_s=parse_age(backup_age),
        deaths=deaths,
    )
    with open_client(server) as client:
        Notifications(client.api).add(wanted, address, replace=replace)
    print(f"{wanted.target} is told about {', '.join(wanted.subjects)} of {stack or 'all stacks'}")
    print(f"to see whether a message arrives: stampede notify test {name}")


@notify_app.command("ls")
def ls(as_json: options.Json = False, server: options.Server = None) -> None:
    """List who is told about what, and how the last message went."""
    from stampede.cli.session import open_client
    from stampede.cli.tables import show_notifications
    from stampede.client.notifications import Notifications

    with open_client(server) as client:
        show_notifications(Notifications(client.api).read_all(), as_json=as_json)


@notify_app.command("test")
def send_test(name: Name, server: options.Server = None) -> None:
    """Send a message, and say whether it arrived."""
    from stampede.cli.session import open_client
    from stampede.client.notifications import Notifications

    with open_client(server) as client:
        Notifications(client.api).test(name)
    print(f"{name}: the message arrived")


@notify_app.command("rm")
def rm(name: Name, server: options.Server = None) -> None:
    """Tell them no more. Nothing is left, the address neither."""
    from stampede.cli.session import open_client
    from stampede.client.notifications import Notifications

    with open_client(server) as client:
        Notifications(client.api).remove(name)
    print(f"{name} is removed")


def _address(url_file: Path | None, url_env: str | None) -> str:
    """The address from where it is, never from the command line, which others can see. Raises: BadInput, Refused."""
    from stampede.errors import BadInput

    if url_file and url_env:
        raise BadInput("--url-file and --url-env are both given", "one of them")
    if url_file:
        text = sys.stdin.read() if str(url_file) == "-" else url_file.read_text()
    elif url_env:
        text = os.environ.get(url_env, "")
    else:
        from stampede.cli.asking import ask_secret

        text = ask_secret("Address (URL of a webhook, mailto://…): ", "--url-file, --url-env or --email gives it")
    if not text.strip():
        raise BadInput("the address is empty", f"${url_env} is not set" if url_env else "")
    return text.strip()
