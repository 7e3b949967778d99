"""What becomes of every key of the specification: acted on, without effect (and said so), or refused."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stampede.errors import NotAvailableYet, StackFileError
from stampede.stackfile.verdict_table import EXTENSIONS, LATER_EXTENSIONS, VERDICTS, Verdict

Path = tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """A document without the keys that have no effect, and one warning for each of them that was there."""

    document: dict[str, Any]
    warnings: tuple[str, ...]


def judge(document: Mapping[str, Any]) -> Judged:
    """Apply the verdict of every key that the document holds.

    Raises: StackFileError for a refused or misspelt key, NotAvailableYet for keys of later releases.
    """
    warnings: list[str] = []
    kept = _judge_mapping(document, (), (), warnings)
    return Judged(kept, tuple(warnings))


def _judge(value: Any, path: Path, pattern: Path, warnings: list[str]) -> Any:
    if isinstance(value, Mapping):
        return _judge_mapping(value, path, pattern, warnings)
    if isinstance(value, list):
        return [_judge(item, (*path, str(at)), (*pattern, "[]"), warnings) for at, item in enumerate(value)]
    return value


def _judge_mapping(value: Mapping[str, Any], path: Path, pattern: Path, warnings: list[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, item in value.items():
        here = (*path, key)
        if key.startswith("x-"):
            check_extension(key, here)
            if not path:
                kept[key] = item
            continue
        known = next((p for p in ((*pattern, key), (*pattern, "*")) if ".".join(p) in VERDICTS), None)
        verdict = VERDICTS[".".join(known)] if known else None
        if verdict and _takes_effect(verdict, item):
            if verdict.outcome == "refused":
                raise StackFileError(f"{'.'.join(here)} is refused: {verdict.reason}", verdict.fix)
            if verdict.outcome == "no effect":
                warnings.append(f"{'.'.join(here)} has no effect: {verdict.reason}")
        if verdict is None or verdict.outcome == "acted on":
            kept[key] = _judge(item, here, known or (*pattern, "*"), warnings)
    return kept


def _takes_effect(verdict: Verdict, value: Any) -> bool:
    """Whether a key says anything at all: the reference prints some keys with their default value."""
    return value not in (None, "", [], {}, *verdict.harmless)


def check_extension(key: str, path: Path) -> None:
    """Let foreign `x-` keys pass.

    Raises: NotAvailableYet for ours of later releases, StackFileError for misspelt ones.
    """
    if key in EXTENSIONS:
        return
    if key in LATER_EXTENSIONS:
        raise NotAvailableYet(f"{'.'.join(path)} is not available yet: {LATER_EXTENSIONS[key]}", f"take {key} out")
    ours = [known.removeprefix("x-") for known in (*EXTENSIONS, *LATER_EXTENSIONS)]
    if near := difflib.get_close_matches(key.removeprefix("x-"), ours, n=1, cutoff=0.8):
        raise StackFileError(f"{'.'.join(path)} is no key of Stampede's", f"did you mean x-{near[0]}?")
