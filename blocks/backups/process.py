"""The other side of the process that backs up: starts it, listens to it, and raises what it says."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stampede import programs
from stampede.blocks.backups.jobs import ANSWERS, Answer, Job
from stampede.errors import Cancelled, StampedeError

_MODULE = "stampede.blocks.backups"


def run_job(
    job: Job, progress: Callable[[int, int], None] = lambda done, of: None, cancelled: threading.Event | None = None
) -> Answer:
    """The answer to the job. `progress` gets bytes done and to do; once `cancelled` is set the process is asked to end.

    Raises: what the process raised, as the same class; Cancelled; StampedeError if it died without a word.
    """
    answer: Answer | None = None
    failure: StampedeError | None = None
    with programs.running([sys.executable, "-m", _MODULE], stdin=job.model_dump_json()) as process:
        with _ending(process, cancelled or threading.Event()):
            for line in process.lines:
                match json.loads(line):
                    case {"progress": [int(done), int(of)]}:
                        progress(done, of)
                    case {"answer": found}:
                        answer = ANSWERS[job.verb].validate_python(found)
                    case {"error": {"class": name, "message": message, "hint": hint}}:
                        failure = error_of(str(name), str(message), str(hint))
                    case other:
                        raise StampedeError(f"the process that does the {job.verb} said {other}")
        code = process.wait()
        if failure is not None:
            raise failure
        if answer is not None:
            return answer
        if cancelled is not None and cancelled.is_set():
            raise Cancelled(f"the {job.verb} was cancelled")
        raise StampedeError(f"the process that does the {job.verb} ended with {code}: {process.said.strip()[-2000:]}")


@contextmanager
def _ending(process: programs.Running, cancelled: threading.Event) -> Iterator[None]:
    """Asks the process to end once `cancelled` is set."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            if cancelled.wait(0.1):
                process.end()
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def error_of(name: str, message: str, hint: str) -> StampedeError:
    """What the process met, as the same class."""
    known: dict[str, Any] = {}
    remaining: list[type[StampedeError]] = [StampedeError]
    while remaining:
        each = remaining.pop()
        known[each.__name__] = each
        remaining += each.__subclasses__()
    found: StampedeError = known.get(name, StampedeError)(message, hint)
    return found
