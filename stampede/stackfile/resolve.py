"""A stack file on disk becomes a `Stack` and the document that describes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stampede.errors import StackFileError
from stampede.stackfile.content import embed_content
from stampede.stackfile.document import read_document, unescape
from stampede.stackfile.models import Stack
from stampede.stackfile.reference import Request, ask_reference
from stampede.stackfile.verdicts import judge
from stampede.stackfile.yamltext import read_yaml


@dataclass(frozen=True)
class LoadedStack:
    """A stack, the document it can be read from again, and what the user should be told."""

    stack: Stack
    document: dict[str, Any]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]


def load_stack(
    files: Sequence[Path] = (),
    *,
    profiles: Sequence[str] = (),
    env_files: Sequence[Path] = (),
    project_name: str | None = None,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedStack:
    """The stack that these files describe; without `files`, those that Compose would find. `-` is standard input.

    Raises: StackFileError, NotAvailableYet, ProgramMissing.
    """
    request = Request(
        files=tuple(files),
        profiles=tuple(profiles),
        env_files=tuple(env_files),
        project_name=project_name,
        cwd=cwd or Path.cwd(),
        environ=dict(os.environ if environ is None else environ),
        stdin=sys.stdin.read() if Path("-") in map(Path, files) else "",
    )
    answer = ask_reference(request)
    if answer.code:
        raise StackFileError(answer.err.strip())
    document = embed_content(unescape(read_yaml(answer.out)), request)
    return LoadedStack(read_document(document), document, judge(document).warnings, request.files)
