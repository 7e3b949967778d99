"""Nothing of what a stack keeps secret can be read from the server's database, or from what a user is shown."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prefect.logging.handlers import APILogHandler

from stampede.errors import UpdateFailed
from stampede.flows.plan_stack import plan_stack
from stampede.flows.roll_out import roll_out
from tests.fakes.docker import Script
from tests.flows.inline_hosts import hosts_inline
from tests.flows.lab import Lab
from tests.flows.perils import Killed
from tests.flows.server import Server

MARKER = "Tr0ub4dor-and-3"
RESULTS = "\n-- results --\n"
VAULT = """
services:
  app:
    image: stampede-test/busybox:1
    environment: {{PASSWORD: "{marker}-{version}", VERSION: "{version}"}}
    command: ["serve", "--key={marker}"]
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    configs: [{{source: settings, target: /etc/settings, uid: "{uid}", gid: "{gid}"}}]
    secrets: [{{source: token, uid: "{uid}", gid: "{gid}"}}]
    deploy: {{update_config: {{monitor: 0s}}}}
configs: {{settings: {{content: "password = {marker}-config-{version}"}}}}
secrets: {{token: {{environment: TOKEN}}}}
"""


@pytest.fixture
def told(server: Server, memory: Path, quick: None) -> Iterator[Lab]:
    """A lab whose flows send their logs to the server."""
    made = Lab(memory)
    with server.as_api(logs=True), hosts_inline(made.hosts):
        yield made


async def test_a_secret_is_nowhere_in_the_database_in_the_clear(told: Lab, server: Server, stack: str) -> None:
    def vault(version: int) -> str:
        return VAULT.format(marker=MARKER, version=version, uid=os.getuid(), gid=os.getgid())

    environ = {"TOKEN": f"{MARKER}-secret"}
    outcome = await told.deploy(stack, vault(1), environ=environ)
    await plan_stack(stack=stack, candidate=await told.store(stack, vault(2), environ))
    updated = await told.deploy(stack, vault(2), environ=environ)
    await told.scale(stack, app=2)
    told.docker.script(lambda instance: instance.spec.environment["VERSION"] == "3", Script(never_healthy=True))
    with pytest.raises(UpdateFailed) as failure:
        await told.deploy(stack, vault(3), environ=environ)
    await told.rollback(stack)
    await told.remove(stack)
    await APILogHandler.aflush()

    assert "environment.PASSWORD" in updated.changes[0].reason, "the plan names the key"
    for shown in (outcome, updated, failure.value):
        assert MARKER not in str(shown)
    text = everything_in(server.home / "prefect.db")
    assert stack in text, "the dump holds the runs"
    assert f"{stack}-app-1" in text.partition(RESULTS)[2], "and their results"
    assert MARKER not in text
    assert not [path for path in told.hosts["h1"].places.state.rglob("*") if path.is_file() and holds(path)]


async def test_a_removal_that_died_before_it_took_the_files_is_finished_by_the_next(
    lab: Lab, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise Killed

    places = lab.hosts["h1"].places
    text = VAULT.format(marker=MARKER, version=1, uid=os.getuid(), gid=os.getgid())
    await lab.deploy(stack, text, environ={"TOKEN": "t"})
    assert (places.files / stack).is_dir()
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[roll_out.__module__], "remove_files", killed)
        with pytest.raises(Killed):
            await lab.remove(stack)
    assert lab.found(stack) == []
    assert (places.files / stack).is_dir()
    await lab.remove(stack)
    assert not (places.files / stack).exists()


async def test_an_update_that_died_before_it_took_old_files_away_is_finished_by_the_next(
    lab: Lab, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: object) -> None:
        raise Killed

    first, second = (VAULT.format(marker=MARKER, version=n, uid=os.getuid(), gid=os.getgid()) for n in (1, 2))
    await lab.deploy(stack, first, environ={"TOKEN": "t"})
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[roll_out.__module__], "remove_files", killed)
        with pytest.raises(Killed):
            await lab.deploy(stack, second, environ={"TOKEN": "t"})
    files = lab.hosts["h1"].places.files / stack
    assert len(list(files.iterdir())) == 3, "the token, and two versions of the settings"
    await lab.deploy(stack, second, environ={"TOKEN": "t"})
    assert len(list(files.iterdir())) == 2


def everything_in(database: Path) -> str:
    """All rows of all tables as text; after `RESULTS` the results of runs, which lie there in base64."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as read:
        rows = "\n".join(read.iterdump())
        stored = [json.loads(data) for (data,) in read.execute("select data from artifact where type like 'result-%'")]
    return rows + RESULTS + "\n".join(base64.b64decode(one["base64"]).decode() for one in stored)


def holds(path: Path) -> bool:
    return MARKER.encode() in path.read_bytes()
