"""Questions to the person at the terminal."""

from __future__ import annotations

import getpass
import sys

from stampede.errors import Refused


def confirm(question: str, *, unattended: bool = False) -> None:
    """Return when the answer is yes, or when nobody can be asked and `unattended` allows to go on then.

    Raises: Refused.
    """
    if not sys.stdin.isatty():
        if unattended:
            return
        raise Refused(f"not done, because nobody can be asked: {question}", "--yes answers yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("not done, because the answer was not yes")


def ask_secret(question: str, otherwise: str) -> str:
    """What the person types, which is not shown. Raises: Refused, with `otherwise`, when nobody can be asked."""
    if not sys.stdin.isatty():
        raise Refused("not done, because nobody can be asked for a secret", otherwise)
    return getpass.getpass(question, stream=sys.stderr)
