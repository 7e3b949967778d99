"""A freeze barrier over several file systems: while it holds, none of them changes; it never outlives its reason.

The freezing is done by a process of its own (freezer.py), which thaws when we die, when we are done or when time is
up. When that process dies, we thaw. When both are killed at once, the next start of the worker thaws.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stampede import programs
from stampede.blocks.volumes import freezer, mounts
from stampede.errors import DaemonError, Transient

LIMIT_S = 5.0


@dataclass
class Barrier:
    """`held_s` is for how long the first of its file systems was frozen; known when it is over."""

    held_s: float = 0.0


@contextmanager
def frozen(paths: Sequence[Path], limit_s: float = LIMIT_S) -> Iterator[Barrier]:
    """While the context is open, what is mounted at `paths` is synced and frozen: one point in time over all of them.

    Afterwards nothing is frozen, whatever happened. Raises: DaemonError when one cannot be frozen (somebody else has
    frozen it); Transient, at its end, when the barrier did not hold: what was made within is of no use then.
    """
    barrier = Barrier()
    for path in paths:
        mounts.sync(path)  # outside the barrier, so that what is left to write within it is little
    argv = [sys.executable, "-I", "-S", freezer.__file__, f"{limit_s:g}", *map(str, paths)]
    with programs.running(argv, lifeline=True) as process:
        try:
            if next(process.lines, "") != "frozen":
                raise DaemonError(
                    f"the volumes cannot be frozen: {process.said.strip() or 'they took too long'}",
                    "`fsfreeze --unfreeze` what another program has frozen, then try again",
                )
            yield barrier
        finally:
            try:
                process.close_input()
                barrier.held_s = float(next(process.lines, "") or 0)
                code = process.wait()
            finally:
                thaw_all(paths)  # in case it was killed
        if code != freezer.TOLD:
            raise Transient(f"the freeze did not hold: writers were let go before it was over (limit {limit_s:g} s)")


def thaw_all(paths: Iterable[Path]) -> list[Path]:
    """Afterwards none of these mounts is frozen; returns those that were. One that is gone is passed over."""
    thawed = []
    for path in paths:
        with suppress(FileNotFoundError):
            if mounts.thaw(path):
                thawed.append(path)
    return thawed
