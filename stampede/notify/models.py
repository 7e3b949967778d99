"""A notification: where messages go, of which stacks, and about what."""

from __future__ import annotations

import re
from typing import Literal, get_args

from pydantic import Field

from stampede.errors import BadInput
from stampede.frozen import Frozen

Subject = Literal["changes", "backups", "instances", "pools"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
NOTIFICATION_TYPE = "stampede-notification"
SHORTEST_AGE_S = 10.0  # Prefect waits no shorter for what does not come
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Notification(Frozen):
    """Messages about `subjects`, of one stack or of all (`stack` is empty), go to `target`, which names no secret.

    A stack without a good backup for `backup_age_s` is told of, and an instance that died `deaths` times within
    `deaths_within_s`.
    """

    name: str
    target: str
    stack: str = ""
    subjects: tuple[Subject, ...] = SUBJECTS
    backup_age_s: float = Field(default=26 * 3600.0, ge=SHORTEST_AGE_S)
    deaths: int = Field(default=3, ge=1)
    deaths_within_s: float = 600.0


def check_name(name: str) -> str:
    """Raises: BadInput for what cannot be the name of a notification."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name of a notification", "lower-case letters, digits and dashes, such as ops")
    return name


def check_subjects(words: tuple[str, ...]) -> tuple[Subject, ...]:
    """Those that are named, all when none is, in their order. Raises: BadInput."""
    unknown = sorted(set(words) - set(SUBJECTS))
    if unknown:
        raise BadInput(f"nobody can be told about {', '.join(unknown)}", f"there are {', '.join(SUBJECTS)}")
    return tuple(one for one in SUBJECTS if one in words) or SUBJECTS


def parse_age(text: str) -> float:
    """Seconds of `26h`, `90m` or `2d`. Raises: BadInput."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is no duration", "write it as 26h, 90m or 2d")
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds < SHORTEST_AGE_S:
        raise BadInput(f"{text} is too short to wait for a backup", f"{SHORTEST_AGE_S:.0f}s or longer")
    return seconds


def age_in_words(seconds: float) -> str:
    """As short as it can be said: 26 h, 90 min, 2 d."""
    for unit, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if not seconds % unit and seconds >= unit:
            return f"{seconds / unit:.0f} {word}"
    return f"{seconds:g} s"
