"""Logs of several instances at once: one `docker logs` each, lines printed as they come."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack

from stampede import programs
from stampede.cli.docker_program import environment_for, logs_argv
from stampede.client import InstanceView
from stampede.errors import StampedeError

ENDED_WITHIN_S = 5.0


def print_logs(
    instances: Sequence[InstanceView], server: str | None, *, follow: bool, tail: str, since: str, timestamps: bool
) -> None:
    """Print the logs of these instances, each line with the instance's name in front, until all have ended.

    Raises: StampedeError with what docker said of the instances whose logs cannot be read.
    """
    width = max(len(each.name) for each in instances)
    with ExitStack() as stack:
        streams: list[tuple[InstanceView, programs.Running]] = []
        for each in instances:
            argv = logs_argv(each.name, follow=follow, tail=tail, since=since, timestamps=timestamps)
            environment = environment_for(each.host, server)
            streams.append((each, stack.enter_context(programs.running(argv, env=environment, merge_errors=True))))
        _print_all([(each.name.ljust(width), stream) for each, stream in streams])
        unread = [each.name for each, stream in streams if stream.wait() != 0]
    if unread:
        raise StampedeError(f"the logs of {', '.join(unread)} cannot be read", "what docker said stands above")


def _print_all(streams: Sequence[tuple[str, programs.Running]]) -> None:
    """Print lines as they come, until all streams have ended. Raises: OSError when stdout takes no more."""
    printing = threading.Lock()
    ends: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    threads = [
        threading.Thread(target=_print_lines, args=(prefix, stream, printing, ends), daemon=True)
        for prefix, stream in streams
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            if (error := ends.get()) is not None:
                raise error
    except BaseException:
        # Nobody reads the other streams any more: their programs would wait for ever, and their threads with them.
        for _, stream in streams:
            stream.end()
        for thread in threads:
            thread.join(ENDED_WITHIN_S)
        raise


def _print_lines(
    prefix: str, stream: programs.Running, printing: threading.Lock, ends: queue.SimpleQueue[Exception | None]
) -> None:
    error: Exception | None = None
    try:
        for line in stream.lines:
            with printing:
                sys.stdout.write(f"{prefix} | {line}\n")
                sys.stdout.flush()
    except (OSError, ValueError) as raised:  # ValueError: a line that the encoding of stdout cannot say
        error = raised
    finally:
        ends.put(error)
