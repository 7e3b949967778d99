"""Writes docs/compose.md from the table of verdicts: `python -m stampede.stackfile.compose_docs [--check]`.

It fails when a key is said to be acted on and the test that would show it does not exist.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from stampede.stackfile.extensions import LATER
from stampede.stackfile.verdict import Verdict
from stampede.stackfile.verdict_table import VERDICTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path("docs/compose.md")
_HEAD = """# What becomes of every Compose key

Written by `python -m stampede.stackfile.compose_docs` from stampede/stackfile/verdict_table.py; do not edit.

A key is **acted on** (the test named shows it on a real daemon; keys that only matter while the file is resolved are
shown without one), has **no effect** (`stampede` says so in a warning, with the reason), or is **refused**, because
leaving it out would change what the app means. `*` stands for any name, `[]` for any item of a list. Resolving is done
by the reference implementation, docker-compose v5; Stampede's tests run against dockerd 20.10 (API 1.41).
"""
_LATER_HEAD = """
## Stampede's own keys

Foreign `x-` keys are kept and otherwise left alone. These are Stampede's, and are refused until a later release:

| key | for |
|---|---|
"""


def missing_tests(verdicts: Mapping[str, Verdict] = VERDICTS, root: Path = ROOT) -> list[str]:
    """A line for every test that an acted-on key cites and that does not exist."""
    cited = {verdict.test for verdict in verdicts.values() if verdict.outcome == "acted on"}
    uncited = [f"{key} cites no test" for key, v in verdicts.items() if v.outcome == "acted on" and not v.test]
    return uncited + sorted(test for test in cited if test and not _exists(test, root))


def _exists(test: str, root: Path) -> bool:
    file, _, name = test.partition("::")
    path = root / file
    return path.is_file() and bool(re.search(rf"^ *(async )?def {re.escape(name)}\(", path.read_text(), re.MULTILINE))


def render(verdicts: Mapping[str, Verdict] = VERDICTS) -> str:
    """The whole page."""
    parts = [_HEAD]
    for section, keys in groupby(sorted(verdicts, key=lambda key: (_section(key), key)), key=_section):
        parts += [f"\n## {section}\n\n| key | verdict | how it shows, or why |\n|---|---|---|\n"]
        parts += [f"| `{key}` | {verdicts[key].outcome} | {'; '.join(_notes(verdicts[key]))} |\n" for key in keys]
    later = "".join(f"| `{key}` | {purpose} |\n" for key, purpose in LATER.items())
    return "".join([*parts, _LATER_HEAD, later])


def _section(key: str) -> str:
    words = key.split(".")
    nested = words[0] == "services" and len(words) > 2 and words[2] in ("build", "deploy", "develop")
    return ".".join(words[:3]) if nested else words[0]


def _notes(verdict: Verdict) -> Iterator[str]:
    if verdict.why:
        yield verdict.why
    if verdict.only:
        shown = verdict.only.replace("|", "\\|")
        yield f"values `{shown}`; others are refused"
    if verdict.fix:
        yield f"instead: {verdict.fix}"
    if verdict.min_api:
        yield f"Docker API ≥ {verdict.min_api}"
    if verdict.test:
        yield f"`{verdict.test.removeprefix('tests/')}`"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it. Returns an exit code."""
    if missing := missing_tests():
        print("acted on, but without a test that exists:", *missing, sep="\n  ", file=sys.stderr)
        return 1
    page = ROOT / PAGE
    if "--check" in arguments:
        current = page.is_file() and page.read_text() == render()
        print("" if current else f"{PAGE} is out of date: python -m stampede.stackfile.compose_docs", file=sys.stderr)
        return 0 if current else 1
    page.write_text(render())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
