"""Commands about backups, against a fake of Prefect's API: what they ask for, and what they print."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.prefect_api import FakePrefect
from tests.unit.cli.conftest import Stampede

CREATED = "2026-01-31T12:00:00+00:00"
ONE = {
    "volume": "shop/uploads",
    "backup": 12,
    "store": "offsite",
    "host": "h1",
    "created": CREATED,
    "logical_bytes": 1 << 30,
    "changed_bytes": 1 << 20,
    "uploaded_bytes": 1 << 19,
    "requests": 7,
    "duration_s": 1.25,
    "dropped": [3],
}
BACKED_UP = {"stack": "shop", "volumes": [ONE], "planned": [], "warnings": ["slow"], "dry_run": False}
LISTED = {
    "name": "shop/uploads",
    "stack": "shop",
    "volume": "uploads",
    "backup": 12,
    "store": "offsite",
    "host": "h1",
    "origin": "home",
    "created": CREATED,
    "size_bytes": 1 << 30,
    "data_bytes": 1 << 29,
    "changed_bytes": 1 << 20,
    "uploaded_bytes": 1 << 19,
    "trouble": "",
}
RESTORED = {
    "stack": "shop",
    "store": "offsite",
    "volumes": [],
    "revision": None,
    "plan": ["stop db.1: it has the volume open"],
    "warnings": [],
    "dry_run": True,
}
BAD = {
    "volume": "shop/uploads",
    "object": "v/shop~2Fuploads/p/x",
    "start": 0,
    "end": 9,
    "what": "it is missing",
    "backups": [12],
}
VERIFIED: dict[str, Any] = {
    "stack": "shop",
    "level": "full",
    "volumes": ["shop/uploads"],
    "checked_bytes": 1 << 20,
    "checked_backups": 2,
    "bad": [],
    "damaged": [],
}
PRUNED = {
    "stack": "shop",
    "dry_run": True,
    "volumes": [
        {
            "volume": "shop/uploads",
            "store": "offsite",
            "decisions": [{"backup": 3, "created": CREATED, "keep": False, "reasons": ["no rule keeps it"]}],
            "dropped": [3],
            "condemned_bytes": 1 << 20,
            "rewritten_bytes": 0,
            "deleted_bytes": 0,
        }
    ],
}


@pytest.fixture(autouse=True)
def plays(prefect: FakePrefect) -> None:
    prefect.play("backup-stack", lambda parameters: BACKED_UP)
    prefect.play("list-backups", lambda parameters: [LISTED])
    prefect.play("restore-backup", lambda parameters: RESTORED)
    prefect.play("recover-stack", lambda parameters: {**RESTORED, "dry_run": False, "revision": 1})
    prefect.play("verify-backups", lambda parameters: VERIFIED)
    prefect.play("prune-backups", lambda parameters: PRUNED)


def asked(prefect: FakePrefect) -> dict[str, Any]:
    """The parameters of the latest run."""
    return {k: v for k, v in list(prefect.runs.values())[-1].parameters.items() if k != "requested_by"}


def test_run_says_what_was_sent(stampede: Stampede, prefect: FakePrefect) -> None:
    ended = stampede("backup", "run", "shop/uploads", "--why", "before the update")
    assert asked(prefect) == {"stack": "shop", "volumes": ["uploads"], "why": "before the update"}
    assert "shop/uploads@12 in offsite: 1.0 MiB changed, 512.0 KiB sent" in ended.out
    assert "warning: slow" in ended.err
    told = stampede("backup", "run", "--json").json
    assert asked(prefect) == {"stack": "shop"}
    assert told["volumes"] == [ONE]
    assert {"run", "duration_s"} <= told.keys()


def test_run_can_be_left_alone(stampede: Stampede, prefect: FakePrefect) -> None:
    told = stampede("backup", "run", "shop", "--detach", "--json").json
    assert told["run"]["id"] in prefect.runs


def test_ls_is_an_array_for_programs(stampede: Stampede, prefect: FakePrefect) -> None:
    assert stampede("backup", "ls", "--json").json == [LISTED]
    assert asked(prefect) == {}
    shown = stampede("backup", "ls", "shop", "--store", "offsite").out
    assert asked(prefect) == {"stack": "shop", "store": "offsite"}
    assert "shop/uploads  12" in shown


def test_restore_asks_for_what_was_said(stampede: Stampede, prefect: FakePrefect) -> None:
    stampede("backup", "restore", "shop/uploads", "--backup", "12", "--to", "old")
    assert asked(prefect) == {"stack": "shop", "volumes": ["uploads"], "backup": 12, "to": "old"}
    stampede("backup", "restore", "shop", "--before", "2026-01-31T12:00+01:00", "--in-place", "--yes")
    said = asked(prefect)
    assert (said["in_place"], said["until"][:10]) == (True, "2026-01-31")
    stampede("backup", "restore", "shop", "--stack", "--store", "offsite")
    assert asked(prefect) == {"stack": "shop", "store": "offsite"}


def test_restore_in_place_shows_the_plan_and_asks(stampede: Stampede, prefect: FakePrefect) -> None:
    ended = stampede("backup", "restore", "shop/uploads", "--in-place")
    assert (ended.code, "stop db.1" in ended.err) == (6, True)
    assert [run.parameters["dry_run"] for run in prefect.runs.values()] == [True]


@pytest.mark.parametrize(
    "words",
    [
        ["restore", "shop/uploads", "--stack"],
        ["restore", "shop", "--stack", "--in-place"],
        ["restore", "shop", "--before", "yesterday"],
        ["restore", "/uploads"],
        ["verify", "shop", "--level", "some"],
        ["prune", "shop", "--keep", "daily"],
        ["prune", "shop", "--keep", "often=3"],
    ],
)
def test_words_that_make_no_sense_start_nothing(stampede: Stampede, prefect: FakePrefect, words: list[str]) -> None:
    ended = stampede("backup", *words)
    assert (ended.code, prefect.runs) == (2, {})


def test_verify_ends_with_1_when_something_is_bad(stampede: Stampede, prefect: FakePrefect) -> None:
    assert stampede("backup", "verify", "shop").code == 0
    damaged = {**VERIFIED, "bad": [BAD], "damaged": ["shop/uploads@12"]}
    prefect.play("verify-backups", lambda parameters: damaged)
    ended = stampede("backup", "verify", "shop", "--level", "quick")
    assert (ended.code, asked(prefect)["level"]) == (1, "quick")
    assert "v/shop~2Fuploads/p/x, bytes 0 to 9: it is missing; damages shop/uploads@12" in ended.out
    ended = stampede("backup", "verify", "shop", "--json")
    assert (ended.code, ended.json["damaged"]) == (1, ["shop/uploads@12"])


def test_prune_gives_reasons(stampede: Stampede, prefect: FakePrefect) -> None:
    ended = stampede("backup", "prune", "shop", "--keep", "daily=7", "--keep", "last=1", "--dry-run")
    assert asked(prefect) == {"stack": "shop", "keep": {"daily": 7, "last": 1}, "dry_run": True}
    assert "would drop shop/uploads@3" in ended.out
    assert "no rule keeps it" in ended.out
