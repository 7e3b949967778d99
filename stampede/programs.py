"""External programs: argument lists in, text out, a typed error when they fail. Nothing else imports subprocess."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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


class Running:
    """A program beside us. What it prints on stderr is kept, so that its end can be explained."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self._process, self._errors = process, errors

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def said(self) -> str:
        """What it has printed on stderr so far."""
        self._errors.seek(0)
        return self._errors.read()

    @property
    def lines(self) -> Iterator[str]:
        """What it prints on stdout, line by line without line ends, until it ends."""
        for line in self._process.stdout or ():
            yield line.rstrip("\n")

    def end(self) -> None:
        """It has been asked to end, with SIGTERM, and may finish what it is at; a no-op when it has ended."""
        self._process.terminate()

    def kill(self) -> None:
        """It ends now, with SIGKILL; a no-op when it has ended."""
        self._process.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def close_input(self) -> None:
        """Afterwards it has read all there is on its stdin; a no-op when it has none."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait()


@contextmanager
def running(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    lifeline: bool = False,
    env: Mapping[str, str] | None = None,
    merge_errors: bool = False,
) -> Iterator[Running]:
    """A program that runs while the context is open; ended with SIGTERM, after 5 s with SIGKILL.

    It reads `stdin`, which is only ever in memory, so that secrets may be in it. With `lifeline` that comes by a pipe,
    of which it sees the end at `close_input`, or when we are gone; it is at most 64 KiB then. With `merge_errors` what
    it prints on stderr is among its `lines`, in order.

    Raises: ProgramMissing.
    """
    words = [str(word) for word in argv]
    with tempfile.TemporaryFile("w+") as errors, _held_in_memory(stdin) as given:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE if lifeline else given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge_errors else errors,
                env=env,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise ProgramMissing(f"{words[0]} is not installed", "scripts/install makes a host ready") from error
        try:
            if process.stdin:
                process.stdin.write(stdin)
                process.stdin.flush()
            yield Running(process, errors)
        finally:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


def start(argv: Sequence[str | Path], *, stdin: str, log: Path) -> None:
    """Starts a program that goes on when we end, in a session of its own. It reads `stdin` and writes to `log`.

    Raises: ProgramMissing.
    """
    words = [str(word) for word in argv]
    with log.open("a") as written, _held_in_memory(stdin) as given:
        try:
            process = subprocess.Popen(
                words, stdin=given, stdout=written, stderr=subprocess.STDOUT, start_new_session=True
            )
        except FileNotFoundError as error:
            raise ProgramMissing(f"{words[0]} is not installed", "scripts/install makes a host ready") from error
    threading.Thread(target=process.wait, name=f"wait for {process.pid}", daemon=True).start()


@contextmanager
def _held_in_memory(text: str) -> Iterator[int]:
    """A descriptor to read this text from: a file without a name, so that nobody waits for a reader, as with a pipe."""
    descriptor = os.memfd_create("stdin")
    try:
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as stream:
            stream.write(text)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
