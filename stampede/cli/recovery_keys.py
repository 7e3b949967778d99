"""Recovery keys out of and into files of their owner, and typed at a terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stampede.backup.recovery_key import printed, secret_of
from stampede.errors import BadInput, Refused

STANDARD = Path("-")


def key_in(file: Path) -> str:
    """The recovery key that stands in a file, in its printed form. Raises: BadInput."""
    try:
        text = sys.stdin.read() if file == STANDARD else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    return _normal(text)


def typed_key(question: str) -> str:
    """The recovery key that somebody types, in its printed form. Raises: BadInput, Refused when nobody can be asked."""
    if not sys.stdin.isatty():
        raise Refused("nobody can be asked for the recovery key", "--key-file FILE reads it, - is standard input")
    print(question, end="", file=sys.stderr, flush=True)
    return _normal(sys.stdin.readline())


def write_key(file: Path, key: str) -> None:
    """Afterwards a new file, which only its owner can read, holds the key. Raises: Refused when it is there already."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(f"{file} is there already", "name another file, or remove it") from error
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error}") from error
    with os.fdopen(descriptor, "w") as out:
        out.write(f"{key}\n")


def _normal(text: str) -> str:
    return printed(secret_of(text.strip()))
