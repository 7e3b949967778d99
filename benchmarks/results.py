"""What a scenario found, and how it is shown: a table, the targets with met or missed, and what the figures include."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.measure import Seconds, ratio


@dataclass(frozen=True)
class Target:
    """`value` is to be at most `limit`, or `at_least` that; both in `unit` (× for a ratio)."""

    what: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.at_least else round(self.value, 3) <= self.limit

    def __str__(self) -> str:
        off = f" by {abs(self.value / self.limit - 1) * 100:.0f} %" if self.limit else ""
        verdict = "**met**" if self.is_met else f"**missed**{off}"
        sign = "≥" if self.at_least else "≤"
        return f"{self.what}: {figure(self.value)} {self.unit}, target {sign} {self.limit:g} {self.unit}: {verdict}"


@dataclass(frozen=True)
class Result:
    """`includes` says honestly what the figures hold and what they do not. `samples` are the single values, by name."""

    title: str
    includes: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    targets: tuple[Target, ...] = ()
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def markdown(self) -> str:
        lines = [f"## {self.title}", "", _row(self.heads), _row(["---"] * len(self.heads))]
        lines += [_row(row) for row in self.rows]
        if self.targets:
            lines += ["", *(f"- {target}" for target in self.targets)]
        return "\n".join([*lines, "", self.includes])

    @property
    def document(self) -> dict[str, Any]:
        """For programs."""
        targets = [asdict(target) | {"met": target.is_met} for target in self.targets]
        return asdict(self) | {"targets": targets}


def of_turns(title: str, includes: str, taken: Seconds, ours: str, limits: dict[str, float]) -> Result:
    """The result of contenders that took turns. `limits` are the targets for the ratio of ours to a peer, by peer."""
    rows = []
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        beside = "1" if name == ours else f"{ratio(taken[ours], seconds):.2f}"
        rows.append((name, f"{middle:.2f} s", f"{min(seconds):.2f} … {max(seconds):.2f} s", beside))
    targets = [
        Target(f"{ours} / {peer}", ratio(taken[ours], taken[peer]), limit, "×") for peer, limit in limits.items()
    ]
    rounds = len(taken[ours])
    heads = ("", f"median of {rounds}", "from … to", f"{ours} takes … times as long")
    return Result(title, includes, heads, tuple(rows), tuple(targets), taken)


def figure(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
