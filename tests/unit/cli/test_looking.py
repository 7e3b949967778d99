"""Commands that look: what they print for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.prefect_api import FakePrefect
from tests.unit.cli.conftest import Stampede


@pytest.fixture
def running(prefect: FakePrefect) -> None:
    """Two instances of shop and one of blog, as a host reports them."""
    now = datetime.now(UTC).isoformat()
    instances = [_instance("shop", 1), _instance("shop", 2), _instance("blog", 1)]
    report = {"host": "h1", "at": now, "report": {"host": "h1", "instances": instances}}
    prefect.put_document("stampede-host-report", "h1", report)


def _instance(stack: str, slot: int) -> dict[str, Any]:
    return {
        "name": f"{stack}-web-{slot}-abc",
        "host": "h1",
        "stack": stack,
        "service": "web",
        "slot": slot,
        "revision": 3,
        "state": "running",
        "health": "healthy",
        "image": "web:1",
        "addresses": {f"{stack}_default": "10.42.0.2"},
        "created_at": "2026-01-01T00:00:00+00:00",
    }


@pytest.mark.usefixtures("running")
def test_ps_prints_an_array_for_programs(stampede: Stampede) -> None:
    rows = stampede("ps", "--json").json
    assert len(rows) == 2
    assert set(rows[0]) >= {
        "stack",
        "service",
        "name",
        "kind",
        "host",
        "state",
        "health",
        "image",
        "addresses",
        "revision",
    }
    assert rows[0]["kind"] == "container"
    assert len(stampede("ps", "--all", "--json").json) == 3
    assert len(stampede("ps", "-p", "blog", "--json").json) == 1


@pytest.mark.usefixtures("running")
def test_ps_prints_a_table_for_people(stampede: Stampede) -> None:
    out = stampede("ps").out
    assert out.splitlines()[0].split()[:3] == ["NAME", "STACK", "SERVICE"]
    assert "shop-web-1-abc" in out


def test_ps_of_nothing_is_an_empty_array(stampede: Stampede) -> None:
    assert stampede("ps", "--json").json == []


@pytest.mark.usefixtures("running")
def test_without_a_file_the_stack_has_to_be_named_when_there_are_several(stampede: Stampede, folder: Path) -> None:
    (folder / "compose.yaml").unlink()
    ended = stampede("history")
    assert ended.code == 2
    assert "blog, shop" in ended.err


def test_the_only_stack_there_is_needs_no_name(prefect: FakePrefect, stampede: Stampede, folder: Path) -> None:
    (folder / "compose.yaml").unlink()
    revision = {"stack": "shop", "number": 1, "created": "2026-01-01T00:00:00+00:00", "by": "ann", "content": "x"}
    prefect.put_document("stampede-revision", "shop-r1", revision)
    entries = stampede("history", "--json").json
    assert [each["revision"] for each in entries] == [1]
    assert "ann" in stampede("history").out


def test_a_stack_that_cannot_be_known_is_bad_input(stampede: Stampede, folder: Path) -> None:
    (folder / "compose.yaml").unlink()
    assert stampede("scale", "web=2").code == 2


def test_plan_prints_changes_with_reasons(stampede: Stampede) -> None:
    changes = stampede("plan", "--json").json["changes"]
    assert {key: changes[0][key] for key in ("action", "name", "reason")} == {
        "action": "replace",
        "name": "shop-web-1",
        "reason": "image changed",
    }
    assert "2 would change" in stampede("plan").out


def test_config_prints_the_resolved_stack_and_needs_no_server(
    prefect: FakePrefect, stampede: Stampede, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAMPEDE_SERVER", "http://127.0.0.1:1")
    assert "image: web:1" in stampede("config").out
    assert json.loads(stampede("config", "--json").out)["services"]["web"]["image"] == "web:1"
    assert prefect.requests == []


def test_export_writes_a_private_file_that_import_reads(prefect: FakePrefect, stampede: Stampede, folder: Path) -> None:
    prefect.put_document("stampede-revision", "shop-r1", {"stack": "shop", "content": "secret"})
    copy = folder / "copy.json"
    assert stampede("server", "export", str(copy)).code == 0
    assert copy.stat().st_mode & 0o777 == 0o600
    assert stampede("server", "export", str(copy)).code == 6
    prefect.documents.clear()
    assert stampede("server", "import", str(copy)).code == 0
    assert prefect.documents["stampede-revision/shop-r1"]["data"]["content"] == "secret"


def test_import_of_another_file_is_bad_input_and_shows_none_of_it(stampede: Stampede, folder: Path) -> None:
    (folder / "x.json").write_text('{"password": "hunter2"}')
    ended = stampede("server", "import", "x.json")
    assert ended.code == 2
    assert "hunter2" not in ended.err
    assert stampede("server", "import", "missing.json").code == 2
