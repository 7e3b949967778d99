"""The commands and how they end: exit codes are those of `stampede.errors`, 130 when Ctrl-C detached."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from stampede.cli import (
    backups,
    changing,
    following,
    leaving,
    notifying,
    reaching,
    serving,
    showing,
    snapshots,
    storing,
    volumes,
)
from stampede.cli.closed_output import Commands, OutputClosed, end_by_sigpipe
from stampede.cli.groups import spread
from stampede.errors import StampedeError

EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 bad input, 3 cancelled, 4 locked, 5 nothing answered, 6 refused, 130 detached."
)

# Without markup, because rich would cost 0.2 s of each --help.
app = typer.Typer(
    name="stampede",
    cls=Commands,
    help="Containers and machines on your own hosts, from one Compose file, as Prefect flows.",
    epilog=EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
)

for command in (
    changing.up,
    showing.plan,
    showing.config,
    showing.ps,
    reaching.logs,
    reaching.exec_,
    changing.scale,
    changing.rollback,
    changing.restart,
    changing.down,
    showing.history,
    changing.adopt,
    leaving.eject,
    following.follow,
    following.cancel,
    following.unlock,
    serving.version,
):
    settings = getattr(command, "context_settings", None)
    app.command(command.__name__.rstrip("_"), context_settings=settings)(spread(command))
app.add_typer(volumes.volume_app, name="volume")
app.add_typer(snapshots.snapshot_app, name="snapshot")
app.add_typer(notifying.notify_app, name="notify")
app.add_typer(serving.server_app, name="server")
app.add_typer(storing.store_app, name="store")
app.add_typer(backups.backup_app, name="backup")


def main() -> NoReturn:
    """Run the command in `sys.argv` and exit."""
    try:
        app()
    except OutputClosed:
        end_by_sigpipe()
    except StampedeError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        if isinstance(error, PermissionError):
            print("hint: a host's own control plane belongs to root; --server names another", file=sys.stderr)
        sys.exit(StampedeError.exit_code)
    sys.exit(0)
