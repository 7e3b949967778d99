"""Output that nobody reads any more, as of `stampede logs web | head`: the command ends without a word, by SIGPIPE."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from typer.core import TyperGroup


class OutputClosed(Exception):
    """The reader of stdout or stderr has gone. No OSError, or Typer would take it for a failure."""


class Commands(TyperGroup):
    """Commands that raise OutputClosed once nobody reads what they print."""

    def invoke(self, ctx: Any) -> Any:
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()  # at exit it would be too late to say nothing
        except BrokenPipeError as error:  # of httpx and of programs that we run none comes here
            raise OutputClosed from error
        return done


def end_by_sigpipe() -> None:
    """End this process as the kernel would, had Python not asked it to report closed pipes as errors."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
