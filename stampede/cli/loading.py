"""Stack files of a command, and which stack a command without one is about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stampede.cli.session import say
from stampede.errors import BadInput, StampedeError, UnknownName
from stampede.stackfile import LoadedStack, load_stack, stack_name
from stampede.stackfile.default_files import default_files

if TYPE_CHECKING:
    from stampede.client import Client


def load(
    files: Sequence[Path] | None,
    project: str | None,
    profiles: Sequence[str] | None,
    env_files: Sequence[Path] | None,
) -> LoadedStack:
    """The stack of these files, with its warnings told. Raises: StackFileError."""
    loaded = load_stack(files or (), profiles=profiles or (), env_files=env_files or (), project_name=project)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    return loaded


@contextmanager
def pointing_into(loaded: LoadedStack) -> Iterator[None]:
    """Errors that name a key of these files leave with file and line in front."""
    try:
        yield
    except StampedeError as error:
        placed = loaded.placed(error)
        if placed is error:
            raise
        raise placed from error


def chosen_stack(client: Client, project: str | None, files: Sequence[Path] | None = None) -> str:
    """The stack a verb is about: the one named, that of the file here, or the only one there is.

    Raises: BadInput when there are several, UnknownName when there is none.
    """
    named = stack_of_here(project, files)
    if named:
        return named
    stacks = client.stacks()
    if len(stacks) == 1:
        return stacks[0]
    if not stacks:
        raise UnknownName("there is no stack yet", "stampede up -f compose.yaml deploys one")
    raise BadInput(f"which stack? There are {', '.join(stacks)}", "-p NAME names one")


def stack_of_here(project: str | None, files: Sequence[Path] | None = None) -> str | None:
    """The stack that is named, or that of the given files, or of those Compose finds from here; None without any."""
    if project:
        return project
    if not files and not default_files(Path.cwd(), os.environ):
        return None
    return stack_name(files or ())
