"""Programs beside us: what they are given, what they say, and how they end."""

from __future__ import annotations

import signal
import sys

import pytest

from stampede.programs import ProgramMissing, running

_ECHO = "import sys; print(len(sys.stdin.read()))"
_PATIENT = """
import signal, sys, threading
asked = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: asked.set())
print("ready", flush=True)
asked.wait()
print("asked", flush=True)
"""


def test_a_program_reads_what_it_is_given_however_long_it_is() -> None:
    with running([sys.executable, "-c", _ECHO], stdin="ä" * 1_000_000) as program:
        assert list(program.lines) == ["1000000"]


def test_a_program_that_reads_nothing_is_no_trouble() -> None:
    with running([sys.executable, "-c", "print('done')"], stdin="x" * 1_000_000) as program:
        assert list(program.lines) == ["done"]
        assert program.wait() == 0


def test_without_anything_given_there_is_nothing_to_read() -> None:
    with running([sys.executable, "-c", _ECHO]) as program:
        assert list(program.lines) == ["0"]


def test_what_is_given_is_in_no_argument_and_no_variable() -> None:
    code = "import sys, os; s = sys.stdin.read(); print(s in repr(sys.argv), s in repr(dict(os.environ)))"
    with running([sys.executable, "-c", code], stdin="a secret") as program:
        assert list(program.lines) == ["False False"]


def test_a_program_that_is_asked_to_end_may_say_a_last_word() -> None:
    with running([sys.executable, "-c", _PATIENT]) as program:
        lines = program.lines
        assert next(lines) == "ready"
        program.end()
        assert list(lines) == ["asked"]
        assert program.wait() == 0
        program.end()


def test_a_program_is_ended_when_nobody_wants_it_any_more() -> None:
    with running([sys.executable, "-c", "import time; print('x', flush=True); time.sleep(600)"]) as program:
        next(program.lines)
    assert program.wait() == -signal.SIGTERM


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"), running(["no-such-program"]):
        pass
