"""Contenders take turns: A B C, A B C, … so that what else the machine does meets all of them alike."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Contender:
    """`act` is what is timed, `before` and `after` are not. `after` is called even after a failure, to clear away."""

    name: str
    act: Callable[[], object]
    before: Callable[[], object] = _nothing
    after: Callable[[], object] = _nothing


Seconds = dict[str, list[float]]


def take_turns(contenders: Sequence[Contender], rounds: int) -> Seconds:
    """Seconds of each contender, by name, one for each round."""
    taken: Seconds = {contender.name: [] for contender in contenders}
    for turn in range(rounds):
        for contender in contenders:
            seconds = _time(contender)
            taken[contender.name].append(seconds)
            say(f"    round {turn + 1}: {contender.name} {seconds:.3f} s")
    return taken


def _time(contender: Contender) -> float:
    try:
        contender.before()
        began = time.perf_counter()
        contender.act()
        return time.perf_counter() - began
    finally:
        contender.after()


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of pairs: each of ours against the peer's of the same round."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def say(line: str) -> None:
    """Tell the person who waits what is going on, on stderr."""
    print(line, file=sys.stderr, flush=True)
