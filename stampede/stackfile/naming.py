"""The name of a stack, without resolving the rest: its file may need variables that only `up` has."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stampede.stackfile.reference import Request, ask_reference
from stampede.stackfile.resolve import load_stack

_UNRESOLVED = ("--no-interpolate", "--no-env-resolution", "--no-path-resolution", "--no-consistency")
_NAME = "name: "


def stack_name(files: Sequence[Path] = ()) -> str:
    """What the stack of these files, or of those Compose finds, is called.

    Raises: StackFileError, only where the name cannot be told without resolving the file.
    """
    asked = Request(files=tuple(map(Path, files)), environ=dict(os.environ))
    answer = ask_reference(asked, ("config", *_UNRESOLVED))
    names = [line.removeprefix(_NAME).strip() for line in answer.out.splitlines() if line.startswith(_NAME)]
    if answer.code == 0 and len(names) == 1 and "$" not in names[0]:
        return names[0].strip("'\"")
    return load_stack(files).stack.name
