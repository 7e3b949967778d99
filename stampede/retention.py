"""Which snapshots and backups are kept: a pure decision with reasons, for both alike.

Grandfather, father, son: of each hour, day, week, month and year that has any, the newest is kept, for as many of the
latest ones as the rule says; besides that the last few, and what is pinned. The newest of all is always kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from pydantic import Field

from stampede.frozen import Frozen


class Retention(Frozen):
    """How many to keep of each kind. With nothing set, everything is kept."""

    last: int = Field(default=0, ge=0)
    hourly: int = Field(default=0, ge=0)
    daily: int = Field(default=0, ge=0)
    weekly: int = Field(default=0, ge=0)
    monthly: int = Field(default=0, ge=0)
    yearly: int = Field(default=0, ge=0)


class Item(NamedTuple):
    """A snapshot or a backup. `created` has a time zone; periods are those of that zone."""

    id: str
    created: datetime
    pinned: bool = False


class Decision(NamedTuple):
    """Whether an item is kept, and why: "last 1 of 3", "daily 2 of 7", "pinned"; or what it lacks."""

    item: Item
    keep: bool
    reasons: tuple[str, ...]


_PERIODS: dict[str, Callable[[datetime], object]] = {
    "hourly": lambda at: (at.year, at.month, at.day, at.hour, at.fold, at.utcoffset()),
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}


def decide(items: Iterable[Item], rule: Retention) -> list[Decision]:
    """A decision on each item, newest first."""
    newest_first = sorted(items, key=lambda item: (item.created, _order(item.id)), reverse=True)
    reasons: dict[Item, list[str]] = {item: ["pinned"] if item.pinned else [] for item in newest_first}
    for number, item in enumerate(newest_first[: rule.last], 1):
        reasons[item].append(f"last {number} of {rule.last}")
    for name, period in _PERIODS.items():
        count = getattr(rule, name)
        for number, item in enumerate(_newest_of_each(newest_first, period)[:count], 1):
            reasons[item].append(f"{name} {number} of {count}")
    if rule == Retention():
        for item in newest_first:
            reasons[item].append("no rule removes any")
    elif newest_first and not reasons[newest_first[0]]:
        reasons[newest_first[0]].append("the newest")
    return [Decision(item, bool(why), tuple(why) or ("no rule keeps it",)) for item, why in reasons.items()]


def _order(name: str) -> tuple[int, str]:
    """Among those of one moment: backups by their numbers, snapshots as text."""
    return (int(name), "") if name.isdecimal() else (0, name)


def _newest_of_each(newest_first: list[Item], period: Callable[[datetime], object]) -> list[Item]:
    found: dict[object, Item] = {}
    for item in newest_first:
        found.setdefault(period(item.created), item)
    return list(found.values())
