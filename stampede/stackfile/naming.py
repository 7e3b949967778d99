"""The name of a stack, without resolving the rest: its file may need variables that only `up` has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stampede.stackfile.default_files import default_files
from stampede.stackfile.reference import Request, ask_reference
from stampede.stackfile.resolve import load_stack

_UNRESOLVED = ("--no-interpolate", "--no-env-resolution", "--no-path-resolution", "--no-consistency")
_NAME = "name: "
_NAME_FROM_VARIABLE = re.compile(r"^name:.*\$", re.MULTILINE)  # which the reference would mangle, not resolve


def stack_name(files: Sequence[Path] = ()) -> str:
    """What the stack of these files, or of those Compose finds, is called.

    Raises: StackFileError, only where the name cannot be told without resolving the file.
    """
    asked = Request(files=tuple(map(Path, files)))
    if any(_NAME_FROM_VARIABLE.search(_text(path)) for path in asked.files or default_files(asked.cwd, asked.environ)):
        return load_stack(files).stack.name
    answer = ask_reference(asked, ("config", *_UNRESOLVED))
    names = [line.removeprefix(_NAME).strip() for line in answer.out.splitlines() if line.startswith(_NAME)]
    return names[0].strip("'\"") if answer.code == 0 and len(names) == 1 else load_stack(files).stack.name


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
