"""What a verdict on a key of the specification is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["acted on", "no effect", "refused"]
ABSENT: tuple[Any, ...] = (None, "", False, [], {})


@dataclass(frozen=True)
class Verdict:
    """What becomes of one key.

    `test` shows an acted-on key at work. `why` and `fix` are said to the user for the other two. `silent` holds values
    that ask for what happens anyway; `{stack}` and `{name}` in them stand for the names of the stack and the item.
    `only` is a pattern of the values that are acted on; others are refused. `resolved` keys are the reference's affair
    and do not reach the models. `min_api` is the oldest version of Docker's API that knows the key.
    """

    outcome: Outcome
    test: str = ""
    why: str = ""
    fix: str = ""
    silent: tuple[Any, ...] = ()
    only: str = ""
    resolved: bool = False
    min_api: str = ""

    def says_nothing(self, value: Any, *, stack: str = "", name: str = "") -> bool:
        """Whether the value asks for nothing, or for what happens anyway."""
        silent = (word.format(stack=stack, name=name) if isinstance(word, str) else word for word in self.silent)
        return value in ABSENT or value in silent

    def leaves_out(self, value: Any) -> bool:
        """Whether the key is acted on, but not with this value."""
        if not self.only or value is None or isinstance(value, (dict, list)):
            return False
        return not re.fullmatch(self.only, str(value).lower() if isinstance(value, bool) else str(value))


Entry = tuple[str, Verdict]


def _each(prefix: str, keys: str, verdict: Verdict) -> Iterator[Entry]:
    """The same verdict for several keys below a prefix; `.` is the prefix itself."""
    for key in keys.split():
        yield (prefix if key == "." else f"{prefix}.{key}" if prefix else key), verdict


def acted(prefix: str, keys: str, test: str, *, only: str = "", fix: str = "", min_api: str = "") -> Iterator[Entry]:
    return _each(prefix, keys, Verdict("acted on", test=test, only=only, fix=fix, min_api=min_api))


def resolved(prefix: str, keys: str, test: str) -> Iterator[Entry]:
    return _each(prefix, keys, Verdict("acted on", test=test, resolved=True))


def no_effect(prefix: str, keys: str, why: str, *, silent: tuple[Any, ...] = ()) -> Iterator[Entry]:
    return _each(prefix, keys, Verdict("no effect", why=why, silent=silent))


def refused(prefix: str, keys: str, why: str, fix: str, *, silent: tuple[Any, ...] = ()) -> Iterator[Entry]:
    return _each(prefix, keys, Verdict("refused", why=why, fix=fix, silent=silent))
