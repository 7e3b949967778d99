"""External programs: argument lists in, text out, a typed error when they fail. Nothing else imports subprocess."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from stampede.errors import StampedeError


class ProgramFailed(StampedeError):
    """A program ended with an exit code other than 0; the message carries what it said."""


class ProgramMissing(StampedeError):
    """A program is not installed."""


class Finished:
    """What a program that ended left behind."""

    __slots__ = ("code", "err", "out")

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 60.0,
    check: bool = True,
) -> Finished:
    """Run a program to its end. Secrets go by `stdin` or a file, never by `argv`, which every user can read.

    Raises: ProgramMissing, ProgramFailed (unless `check` is false, or when `timeout_s` passes).
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            env=env,
            cwd=cwd,
            timeout=timeout_s,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # what a program quotes from a broken file must not break us
            check=False,
        )
    except FileNotFoundError as error:
        raise ProgramMissing(f"{words[0]} is not installed", "scripts/install makes a host ready") from error
    except subprocess.TimeoutExpired as error:
        raise ProgramFailed(f"{words[0]} did not end within {timeout_s:g} s") from error
    if check and done.returncode:
        raise ProgramFailed(f"{' '.join(words[:3])} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return Finished(done.returncode, done.stdout, done.stderr)
