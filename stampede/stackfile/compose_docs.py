"""Writes docs/compose.md from the table of verdicts: `python -m stampede.stackfile.compose_docs [--check]`.

It fails when a key is said to be acted on and no test on a real daemon shows it: one below tests/functional, in a
module with the marker `functional`, that asks for a daemon by one of its fixtures.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from stampede.stackfile.extensions import EXTENSIONS, LATER
from stampede.stackfile.verdict import Verdict
from stampede.stackfile.verdict_table import VERDICTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path("docs/compose.md")
_FUNCTIONAL = Path("tests/functional")
_MARKED = re.compile(r"^pytestmark = .*\bpytest\.mark\.functional\b", re.MULTILINE)
# Fixtures behind which a real daemon is.
_DAEMONS = frozenset({"web", "project", "newer", "stack", "app", "installation"})
_HEAD = """# What becomes of every Compose key

Written by `python -m stampede.stackfile.compose_docs` from stampede/stackfile/verdict_table.py; do not edit.

A key is **acted on** (the test named shows it on a real daemon; keys that only matter while the file is resolved are
shown without one), has **no effect** (`stampede` says so in a warning, with the reason), or is **refused**, because
leaving it out would change what the app means. `*` stands for any name, `[]` for any item of a list. Resolving is done
by the reference implementation, docker-compose v5; Stampede's tests run against dockerd 20.10 (API 1.41), and those of
test_newer_docker.py against Debian trixie's 26.1.5 (API 1.45), with `scripts/test -m debian`.
"""
_OWN_HEAD = """
## Stampede's own keys

Foreign `x-` keys are kept and otherwise left alone. These are Stampede's (docs/stack-file.md):

| key | of | for | how it shows |
|---|---|---|---|
"""
_LATER_HEAD = """
These are refused until a later release:

| key | for |
|---|---|
"""


def missing_tests(verdicts: Mapping[str, Verdict] = VERDICTS, root: Path = ROOT) -> list[str]:
    """A line for every test that an acted-on key cites and that does not exist, or runs on no real daemon."""
    acted_on = [verdict for verdict in verdicts.values() if verdict.outcome == "acted on" and verdict.test]
    if verdicts is VERDICTS:
        acted_on += [Verdict("acted on", test=each.test) for each in EXTENSIONS.values()]
    absent = {verdict.test for verdict in acted_on if _parameters(verdict.test, root) is None}
    others = {v.test for v in acted_on if not v.resolved and not _is_functional(v.test, root)} - absent
    uncited = [f"{key} cites no test" for key, v in verdicts.items() if v.outcome == "acted on" and not v.test]
    return uncited + sorted(absent) + [f"{test} runs on no real daemon" for test in sorted(others)]


def _is_functional(test: str, root: Path) -> bool:
    file = Path(test.partition("::")[0])
    return (
        file.is_relative_to(_FUNCTIONAL)
        and bool(_MARKED.search((root / file).read_text()))
        and not _DAEMONS.isdisjoint(_parameters(test, root) or ())
    )


def _parameters(test: str, root: Path) -> frozenset[str] | None:
    """Names of the fixtures and parameters of a test, None if there is no such test."""
    file, _, name = test.partition("::")
    if not (root / file).is_file():
        return None
    for node in ast.walk(ast.parse((root / file).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return frozenset(argument.arg for argument in node.args.args)
    return None


def render(verdicts: Mapping[str, Verdict] = VERDICTS) -> str:
    """The whole page."""
    parts = [_HEAD]
    for section, keys in groupby(sorted(verdicts, key=lambda key: (_section(key), key)), key=_section):
        parts += [f"\n## {section}\n\n| key | verdict | how it shows, or why |\n|---|---|---|\n"]
        parts += [f"| `{key}` | {verdicts[key].outcome} | {'; '.join(_notes(verdicts[key]))} |\n" for key in keys]
    own = "".join(
        f"| `{key}` | `{each.section}.*` | {each.purpose} | `{each.test.removeprefix('tests/')}` |\n"
        for key, each in EXTENSIONS.items()
    )
    later = "".join(f"| `{key}` | {purpose} |\n" for key, purpose in LATER.items())
    return "".join([*parts, _OWN_HEAD, own, _LATER_HEAD, later])


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
        print("acted on, but without a test that shows it:", *missing, sep="\n  ", file=sys.stderr)
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
