"""What `stampede config` prints is a stack file that resolves to the same stack, by us and by the reference."""

from __future__ import annotations

import json

import pytest

from stampede.stackfile import canonical_json, canonical_yaml
from stampede.stackfile.reference import Request, ask_reference
from tests.unit.stackfile.conftest import PROGRAM_ENVIRONMENT, Project
from tests.unit.stackfile.test_any_input import VALID

ODD = ["a$b", "${C}", "$$", "yes", "1e3", "0o17", "1_000", "12:30:45", "2026-01-01", "~", "null", "", " x ", "a\nb\n"]
ODD += [
    "\n a",
    "\ta",
    "a\r\nb",
    "a: b",
    "#",
    "=",
    "<<",
    "é😀",
    "\u2028",
    "\x7f\x85",
    "'\"\\",
    "-",
    "!x",
    "&a",
    "*a",
    "0x1f",
]
FILES = {
    "everything": VALID,
    "odd strings": {"services": {"w": {"image": "x", "environment": {f"K{at}": text for at, text in enumerate(ODD)}}}},
    "odd keys": {"services": {"w": {"image": "x", "labels": {text: "v" for text in ODD if text.strip()}}}},
    "odd extension": {"services": {"w": {"image": "x"}}, "x-a": [*ODD, 1, 1.5, 1e30, True, None, {"b": ["c"]}]},
    "documents": {
        "services": {"w": {"image": "x", "secrets": ["s", "e"], "configs": ["c", "f"]}},
        "secrets": {"s": {"file": "s.txt"}, "e": {"environment": "E"}},
        "configs": {"c": {"content": "$$a\n b"}, "f": {"file": "s.txt"}},
    },
}


@pytest.mark.parametrize("tree", FILES.values(), ids=FILES)
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_config_resolves_to_the_same_stack(project: Project, tree: object, form: str) -> None:
    project.write("s.txt", "se$cret\n")
    environ = {"E": "from $environment"}
    dollars = json.dumps(tree, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\x7f\x85", "\\u007f\\u0085")
    first = project.load(dollars, environ=environ | {"C": "filled in"})
    printed = canonical_yaml(first) if form == "yaml" else canonical_json(first)
    second = project.load(printed, environ=environ)
    assert second.stack == first.stack
    assert second.document == first.document
    assert (canonical_yaml(second) if form == "yaml" else canonical_json(second)) == printed


def test_the_reference_makes_the_same_of_it(project: Project) -> None:
    first = project.load(json.dumps(VALID))
    original = ask_reference(request(project)).out
    project.write("compose.yaml", canonical_yaml(first))
    assert ask_reference(request(project)).out == original


def request(project: Project) -> Request:
    return Request(cwd=project.directory, environ=PROGRAM_ENVIRONMENT)
