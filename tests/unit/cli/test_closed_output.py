"""Commands in a pipeline whose reader has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.prefect_api import AUTH, FakePrefect

CHATTY = """#!/bin/sh
while echo line; do :; done
"""
SILENT = """#!/bin/sh
case "$*" in *-1-*) exec yes ;; esac
exec sleep 1000
"""


@pytest.fixture
def environment(prefect: FakePrefect, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """That of a command whose server knows two instances of shop. Programs come from `folder` first."""
    instances = [
        {
            "name": f"shop-web-{slot}-abc",
            "host": "h1",
            "stack": "shop",
            "service": "web",
            "slot": slot,
            "revision": 3,
            "state": "running",
            "health": "healthy",
            "image": "web:1",
            "created_at": "2026-01-01T00:00:00+00:00",
        }
        for slot in (1, 2)
    ]
    now = datetime.now(UTC).isoformat()
    prefect.put_document(
        "stampede-host-report", "h1", {"host": "h1", "at": now, "report": {"host": "h1", "instances": instances}}
    )
    return {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "STAMPEDE_SERVER": prefect.url,
        "STAMPEDE_AUTH": AUTH,
        "STAMPEDE_STATE_DIR": str(folder / "state"),
    }


def read_one_line(words: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """How `stampede … | head -n 1` ends: exit code and stderr of the first."""
    with subprocess.Popen(
        [sys.executable, "-m", "stampede", *words],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        try:
            command.stdout.readline()
            command.stdout.close()
            return command.wait(15), command.stderr.read()
        finally:
            command.kill()


@pytest.mark.parametrize("docker", [CHATTY, SILENT])
@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_logs_end_without_a_word_and_so_do_the_programs_they_read_from(
    environment: dict[str, str], folder: Path, docker: str, follow: tuple[str, ...]
) -> None:
    (folder / "docker").write_text(docker)
    (folder / "docker").chmod(0o755)
    code, said = read_one_line(["logs", *follow, "web"], environment, folder)
    assert (code, said) == (-signal.SIGPIPE, "")


@pytest.mark.parametrize("words", [["ps"], ["ps", "--json"], ["config"], ["history"], ["version"], ["--help"]])
def test_no_command_complains_of_a_reader_that_was_gone_before_it_wrote(
    environment: dict[str, str], folder: Path, words: list[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "stampede", *words],
        env=environment,
        cwd=folder,
        text=True,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=30,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode in ({1} if words == ["--help"] else {-signal.SIGPIPE})
