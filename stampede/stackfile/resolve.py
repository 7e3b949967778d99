"""A stack file on disk becomes a `Stack` and the document that describes it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from stampede.errors import StackFileError, StampedeError
from stampede.stackfile.complaint import Complaint
from stampede.stackfile.content import embed_content
from stampede.stackfile.default_files import default_files, dotenv
from stampede.stackfile.document import interpret
from stampede.stackfile.messages import complaint_of, warnings_of
from stampede.stackfile.models import Stack
from stampede.stackfile.reference import Request, ask_reference
from stampede.stackfile.shape import check_shape
from stampede.stackfile.sources import STDIN, Sources
from stampede.stackfile.yamltext import read_yaml

Mask = Callable[[str], str]
_KEY_PATH = re.compile(r"((?:services|networks|volumes)(?:\.[\w-]+)+): ")


@dataclass(frozen=True)
class LoadedStack:
    """A stack, the document it can be read from again, and what the user should be told.

    The document holds secrets: it is stored encrypted, and never printed.
    """

    stack: Stack
    document: dict[str, Any]
    warnings: tuple[str, ...]
    files: tuple[Path, ...]

    def placed(self, error: StampedeError) -> StampedeError:
        """The same error with file and line in front, if its message begins with a key path of these files."""
        found = _KEY_PATH.match(error.message)
        files = [file for file in self.files if file != STDIN]
        if found is None or not files:
            return error
        where = Sources.read(files, Path.cwd(), "").place_of(tuple(found[1].split(".")))
        return type(error)(f"{where}: {error.message}", error.hint) if where else error


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

    Raises: StackFileError with file, line, key and fix; NotAvailableYet for keys of later releases; ProgramMissing.
    """
    request = Request(
        files=tuple(map(Path, files)),
        profiles=tuple(profiles),
        env_files=tuple(map(Path, env_files)),
        project_name=project_name,
        cwd=Path(cwd or Path.cwd()),
        environ=dict(os.environ if environ is None else environ),
    )
    if STDIN in request.files:
        request = replace(request, stdin=sys.stdin.read())
    return load(request)


def load(request: Request) -> LoadedStack:
    """The stack of a request. Raises: as `load_stack`."""
    _check_words(request)
    files = request.files or default_files(request.cwd, request.environ)
    sources = Sources.read(files, request.cwd, request.stdin)
    try:
        check_shape(sources)
        answer = ask_reference(request)
        if answer.code:
            raise complaint_of(answer.err)
        document = _document(answer.out)
        document = embed_content(document, replace(request, files=files))
        reading = interpret(document)
    except Complaint as complaint:
        complaint.path, where = sources.find(complaint)
        raise _discreet(complaint, _mask(sources, request)).as_error(where) from None
    warnings = [*warnings_of(answer.err), *reading.warnings]
    return LoadedStack(
        reading.stack, document, tuple(map(_mask(sources, request), warnings)) if warnings else (), files
    )


def _check_words(request: Request) -> None:
    """The directory exists, and no word has a zero byte, which no program takes. Raises: StackFileError."""
    if not request.cwd.is_dir():
        raise StackFileError(f"{request.cwd} is no directory", "name one that exists")
    words = [*map(str, request.files), *map(str, request.env_files), *request.profiles, request.project_name or ""]
    for word in words:
        if "\0" in word:
            raise StackFileError(f"{word!r} is no name", "names have no zero byte")


def _document(text: str) -> dict[str, Any]:
    """The reference's output as plain values. It prints every `$` as `$$`, in keys as well."""
    try:
        document = read_yaml(text.replace("$$", "$"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Complaint((), f"what docker-compose made of it cannot be read: {type(error).__name__}") from error
    if not isinstance(document, dict):
        raise Complaint((), "docker-compose made nothing of it", "a stack needs at least services:")
    return document


def _discreet(complaint: Complaint, hide: Mask) -> Complaint:
    complaint.message, complaint.hint = hide(complaint.message), hide(complaint.hint)
    complaint.path = tuple(map(hide, complaint.path))
    return complaint


def _mask(sources: Sources, request: Request) -> Mask:
    """A function that hides the words of a text which may be secret."""
    first = next((source.path.parent for source in sources.files), request.cwd)
    env_files = [request.cwd / ".env", first / ".env", *(request.cwd / file for file in request.env_files)]
    environ = {name: value for file in env_files for name, value in dotenv(file).items()} | dict(request.environ)
    hidden = sources.confidential(environ)
    return lambda text: hidden.sub("…", text) if hidden else text
