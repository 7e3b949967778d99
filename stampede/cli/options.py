"""Options that several commands share. Their help texts are the commands' documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PULL_POLICIES = ("always", "missing", "never")

Files = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", help="Stack file, several are merged in order; - is standard input."),
]
Project = Annotated[
    str | None,
    typer.Option("--project-name", "-p", help="Name of the stack, instead of the one in the file or folder."),
]
Profiles = Annotated[list[str] | None, typer.Option("--profile", help="Profile to enable, several times if need be.")]
EnvFiles = Annotated[list[Path] | None, typer.Option("--env-file", help="File of variables, instead of .env.")]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        envvar="STAMPEDE_SERVER",
        help="http://…, https://… or ssh://[user@]host[:port]; without it, the control plane of this machine.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value for programs; progress goes to stderr.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change and why, and change nothing.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Start the run and do not wait for it.")]
Why = Annotated[str, typer.Option("--why", "-m", help="A reason, for the stack's history.")]
Wait = Annotated[
    float | None,
    typer.Option("--wait", min=0.0, help="Seconds to wait while another change of the stack is under way."),
]
Pull = Annotated[
    str | None,
    typer.Option("--pull", metavar="|".join(PULL_POLICIES), help="When to pull images, instead of what the file says."),
]
