"""docs/compose.md says what the table says, and every key it calls acted on has a test that shows it."""

from __future__ import annotations

from pathlib import Path

from stampede.stackfile.compose_docs import PAGE, ROOT, missing_tests, render
from stampede.stackfile.verdict import Verdict


def test_the_page_is_what_the_table_says() -> None:
    assert (ROOT / PAGE).read_text() == render()


def test_every_key_that_is_acted_on_cites_a_test_that_exists() -> None:
    assert missing_tests() == []


def test_a_missing_test_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_there(): ...\n")
    verdicts = {
        "a": Verdict("acted on", test="test_a.py::test_there"),
        "b": Verdict("acted on", test="test_a.py::test_not_there"),
        "c": Verdict("acted on", test="test_b.py::test_there"),
        "d": Verdict("acted on"),
        "e": Verdict("refused", why="because"),
    }
    assert missing_tests(verdicts, tmp_path) == [
        "d cites no test",
        "test_a.py::test_not_there",
        "test_b.py::test_there",
    ]
