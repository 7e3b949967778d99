"""docs/benchmarks.md: a part for each scenario between two marks is written anew, everything else is left alone."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.results import Result

PATH = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
MACHINE = "machine"


def write(results: dict[str, Result], machine: str) -> None:
    """Afterwards the page shows these results. Those of scenarios that were not run stay as they are."""
    text = PATH.read_text()
    text = _replace(text, MACHINE, f"Measured on a virtual machine: {machine}.")
    for name, result in results.items():
        text = _replace(text, name, result.markdown)
    PATH.write_text(text)


def _replace(text: str, name: str, content: str) -> str:
    """Raises: ValueError when the page has no place for this part."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    part = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not part.search(text):
        raise ValueError(f"{PATH.name} has no line {begin}")
    return part.sub(lambda _: f"{begin}\n{content}\n{end}", text)
