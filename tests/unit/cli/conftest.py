"""The `stampede` command in this process, against a fake of Prefect's API on a real socket."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stampede.cli import main
from tests.fakes.prefect_api import AUTH, FakePrefect, serve

COMPOSE = """
name: shop
services:
  web: {image: "web:1"}
"""
OUTCOME = {
    "stack": "shop",
    "revision": 4,
    "changes": [
        {"action": "replace", "kind": "instance", "name": "shop-web-1", "reason": "image changed"},
        {"action": "remove", "kind": "instance", "name": "shop-old-1", "reason": "no longer in the file"},
    ],
    "unchanged": ["shop-db-1"],
    "removed": ["shop-old-1"],
    "warnings": ["web has no healthcheck"],
    "dry_run": False,
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Stampede = Callable[..., Ended]


@pytest.fixture
def prefect() -> Iterator[FakePrefect]:
    """A server on which every verb has the same outcome, until a test says otherwise."""
    fake = FakePrefect()
    verbs = ("deploy-stack", "scale-service", "rollback-stack", "restart-service", "remove-stack", "adopt-stack")
    for flow in (*verbs, "eject-stack", "adopt-volume"):
        fake.play(flow, lambda parameters: OUTCOME)
    fake.play("plan-stack", lambda parameters: OUTCOME)
    with serve(fake):
        yield fake


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a stack file."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stampede(
    prefect: FakePrefect, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> Stampede:
    """Runs a command line and tells how it ended."""
    monkeypatch.setenv("STAMPEDE_SERVER", prefect.url)
    monkeypatch.setenv("STAMPEDE_AUTH", AUTH)

    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["stampede", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run
