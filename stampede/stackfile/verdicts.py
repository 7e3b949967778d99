"""Applies the table of verdicts to a resolved document, so that no key is ignored in silence."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stampede.stackfile.complaint import Complaint, Path, spell
from stampede.stackfile.extensions import keeps_extension
from stampede.stackfile.verdict_table import VERDICTS

SUGGESTION_LIKENESS = 0.6
_STRUCTURED = {key[:at] for key in VERDICTS for at, mark in enumerate(key) if mark == "."}  # known keys are below these


@dataclass
class Judge:
    """Walks one document. `warnings` has one line for every key that has no effect."""

    stack: str
    warnings: list[str] = field(default_factory=list[str])

    def judge(self, value: Any, path: Path = (), pattern: Path = ()) -> Any:
        """A copy of the value without the keys that do not reach the models.

        Raises: Complaint for keys that are refused, misspelt or of later releases.
        """
        if is_free(pattern):
            return value
        if isinstance(value, list):
            return [self.judge(item, (*path, str(at)), (*pattern, "[]")) for at, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        return {
            key: self.judge(item, (*path, key), known_pattern(key, pattern) or (*pattern, key))
            for key, item in value.items()
            if self._keeps(key, item, path, pattern)
        }

    def _keeps(self, key: str, value: Any, path: Path, pattern: Path) -> bool:
        """Whether a key reaches the models. What no table knows does, and is refused there."""
        here, known = (*path, key), known_pattern(key, pattern)
        if known is None:
            return keeps_extension(key, here) if key.startswith("x-") else True
        verdict = VERDICTS[spell(known)]
        if verdict.leaves_out(value):
            raise Complaint(here, f"{value!r} is not acted on", verdict.fix)
        names = {"stack": self.stack, "name": here[1] if path else ""}
        if verdict.outcome != "acted on" and not verdict.says_nothing(value, **names):
            if verdict.outcome == "refused":
                raise Complaint(here, f"refused: {verdict.why}", verdict.fix)
            self.warnings.append(f"{spell(here)} has no effect: {verdict.why}")
        if verdict.min_api and not verdict.says_nothing(value):
            older = f"daemons with an API older than {verdict.min_api}"
            self.warnings.append(f"{spell(here)} may have no effect on {older}")
        return verdict.outcome == "acted on" and not verdict.resolved


def is_free(pattern: Path) -> bool:
    """Whether a mapping's keys are the user's own, as in environment or labels."""
    return bool(pattern) and spell(pattern) not in _STRUCTURED


def known_pattern(key: str, pattern: Path) -> Path | None:
    """The table's pattern for a key below a pattern: by its name, else as any name; None in free mappings."""
    return next((p for p in ((*pattern, key), (*pattern, "*")) if spell(p) in VERDICTS), None)


def pattern_of(path: Path) -> Path:
    """The table's pattern for a key path, as far as the table knows the way."""
    pattern: Path = ()
    for part in path:
        pattern = known_pattern(part, pattern) or (*pattern, "[]" if part.isdecimal() else part)
    return pattern


def suggestion(path: Path) -> str:
    """The known key that the last one of an unknown path was probably meant to be, or an empty string."""
    prefix = spell(pattern_of(path[:-1]))
    start = f"{prefix}." if prefix else ""
    known = {key[len(start) :] for key in VERDICTS if key.startswith(start)}
    near = difflib.get_close_matches(path[-1], [k for k in known if "." not in k], n=1, cutoff=SUGGESTION_LIKENESS)
    return near[0] if near else ""
