"""What the benchmarks make of what they measured."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks import documentation
from benchmarks.backups.content import Content
from benchmarks.load import Load
from benchmarks.measure import Contender, percentile, ratio, take_turns
from benchmarks.results import Result, Target, of_turns
from benchmarks.scenarios import SCENARIOS
from benchmarks.usage import use
from stampede.errors import StampedeError


def test_contenders_take_turns_and_are_cleared_away_each_time() -> None:
    done: list[str] = []
    contenders = [
        Contender(name, act=partial(done.append, name), after=partial(done.append, f"{name} after"))
        for name in ("a", "b")
    ]
    taken = take_turns(contenders, 2)
    assert done == ["a", "a after", "b", "b after"] * 2
    assert [len(seconds) for seconds in taken.values()] == [2, 2]


def test_what_a_contender_left_behind_is_cleared_away_when_it_fails() -> None:
    cleared: list[str] = []

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take_turns([Contender("a", act=fail, after=lambda: cleared.append("a"))], 1)
    assert cleared == ["a"]


def test_the_ratio_is_the_median_over_pairs_of_one_round() -> None:
    assert ratio([1.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == 2.0


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50.0, 99.0, 7.0)


def test_a_target_says_met_or_by_how_much_it_was_missed() -> None:
    assert str(Target("x", 1.0, 1.15, "×")) == "x: 1 ×, target ≤ 1.15 ×: **met**"
    assert str(Target("x", 2.3, 1.15, "×")) == "x: 2.3 ×, target ≤ 1.15 ×: **missed** by 100 %"
    assert str(Target("failed", 3.0, 0.0, "requests")) == "failed: 3 requests, target ≤ 0 requests: **missed**"


def test_a_target_may_ask_for_at_least_so_much() -> None:
    assert str(Target("x", 4.0, 4.0, "×", at_least=True)) == "x: 4 ×, target ≥ 4 ×: **met**"
    assert str(Target("x", 3.0, 4.0, "×", at_least=True)) == "x: 3 ×, target ≥ 4 ×: **missed** by 25 %"


def test_the_same_content_is_made_each_time_and_differs_from_seed_to_seed() -> None:
    assert Content(3).of(300_000) == Content(3).of(300_000)
    assert Content(3).of(1000) != Content(4).of(1000)


def test_what_a_process_costs_is_measured_to_its_end() -> None:
    busy = "import sys, time; b = bytearray(50 << 20); b[::4096] = b[::4096]; print(sys.stdin.read()); time.sleep(0.3)"
    used = use([sys.executable, "-c", busy], stdin="said")
    assert (used.out.strip(), used.seconds > 0.3, used.memory_mib > 50) == ("said", True, True)
    with pytest.raises(StampedeError, match="ended with 3"):
        use([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_result_shows_each_contender_beside_ours() -> None:
    result = of_turns("Deploy", "All of it.", {"ours": [3.0], "theirs": [2.0]}, "ours", {"theirs": 1.0})
    assert "| theirs | 2.00 s | 2.00 … 2.00 s | 1.50 |" in result.markdown
    assert "- ours / theirs: 1.5 ×, target ≤ 1 ×: **missed** by 50 %" in result.markdown
    assert result.document["targets"][0]["met"] is False


def test_what_wrk_says_is_counted() -> None:
    load = Load()
    load.read("  1234 requests in 5.00s\n  Socket errors: connect 0, read 2, write 0, timeout 1\n")
    assert (load.requests, load.failed) == (1234, 3)
    load.read("  10 requests in 5.00s\n  Non-2xx or 3xx responses: 4\n")
    assert (load.requests, load.failed) == (10, 4)


def test_the_page_has_a_place_for_every_scenario_and_keeps_what_was_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(documentation.PATH.read_text())
    monkeypatch.setattr(documentation, "PATH", page)
    before = page.read_text()
    documentation.write({name: Result(f"Title {name}", "…", ("",), (("x",),)) for name in SCENARIOS}, "a machine")
    after = page.read_text()
    assert all(f"## Title {name}" in after for name in SCENARIOS)
    documentation.write({}, "another one")
    assert page.read_text() == after.replace("virtual machine: a machine.", "virtual machine: another one.")
    assert before.split("<!--")[0] == after.split("<!--")[0]
