"""docs/compose.md says what the table says, and every key it calls acted on has a test that shows it."""

from __future__ import annotations

from pathlib import Path

from stampede.stackfile.compose_docs import PAGE, ROOT, missing_tests, render
from stampede.stackfile.verdict import Verdict

MARK = "pytestmark = pytest.mark.functional\n"


def test_the_page_is_what_the_table_says() -> None:
    assert (ROOT / PAGE).read_text() == render()


def test_every_key_that_is_acted_on_cites_a_test_that_exists() -> None:
    assert missing_tests() == []


def test_a_missing_test_is_noticed(tmp_path: Path) -> None:
    cite = written(tmp_path, "tests/functional/test_a.py", f"{MARK}def test_there(web): ...\n")
    verdicts = {
        "a": Verdict("acted on", test=f"{cite}::test_there"),
        "b": Verdict("acted on", test=f"{cite}::test_not_there"),
        "c": Verdict("acted on", test="test_b.py::test_there"),
        "d": Verdict("acted on"),
        "e": Verdict("refused", why="because"),
    }
    assert missing_tests(verdicts, tmp_path) == [
        "d cites no test",
        "test_b.py::test_there",
        "tests/functional/test_a.py::test_not_there",
    ]


def test_a_test_that_runs_on_no_real_daemon_does_not_count(tmp_path: Path) -> None:
    elsewhere = written(tmp_path, "tests/unit/test_a.py", f"{MARK}def test_it(web): ...\n")
    unmarked = written(tmp_path, "tests/functional/test_b.py", "def test_it(web): ...\n")
    alone = written(tmp_path, "tests/functional/test_c.py", f"{MARK}def test_it(tmp_path): ...\n")
    real = written(
        tmp_path, "tests/functional/test_d.py", "pytestmark = [pytest.mark.functional]\ndef test_it(web): 1\n"
    )
    verdicts = {file: Verdict("acted on", test=f"{file}::test_it") for file in (elsewhere, unmarked, alone, real)}
    while_resolving = {"e": Verdict("acted on", test=f"{elsewhere}::test_it", resolved=True)}
    said = [f"{file}::test_it runs on no real daemon" for file in sorted((elsewhere, unmarked, alone))]
    assert missing_tests(verdicts, tmp_path) == said
    assert missing_tests(while_resolving, tmp_path) == []


def written(root: Path, file: str, text: str) -> str:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)
    return file
