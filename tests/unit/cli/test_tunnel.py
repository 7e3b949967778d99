"""The way to a server behind ssh, with a stand-in for the ssh program that needs no sshd."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stampede.cli.tunnel import open_tunnel
from stampede.client import Client
from stampede.errors import ServerUnreachable
from tests.fakes.prefect_api import AUTH, FakePrefect
from tests.unit.cli.conftest import Stampede

# Prints the password for `cat`, forwards for -L, and fails as ssh does when told to.
SSH = """#!/bin/sh
[ -n "$REFUSE" ] && { echo 'Permission denied (publickey).' >&2; exit 255; }
case "$*" in
  *"-L "*:127.0.0.1:4711*) port=$(echo "$*" | sed 's/.*-L 127.0.0.1:\\([0-9]*\\):.*/\\1/')
    exec socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" "TCP:127.0.0.1:$SERVER_PORT" ;;
  *cat*) [ -n "$NO_SERVER" ] && { echo 'No such file or directory' >&2; exit 1; }
    echo 'PREFECT_API_URL=http://127.0.0.1:4711/api'
    echo "PREFECT_API_AUTH_STRING=$SERVER_AUTH" ;;
esac
"""


@pytest.fixture(autouse=True)
def ssh(prefect: FakePrefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SERVER_PORT", prefect.url.rpartition(":")[2])
    monkeypatch.setenv("SERVER_AUTH", AUTH)


def test_a_server_behind_ssh_is_reached_with_its_own_password() -> None:
    with open_tunnel("ssh://root@h1") as (url, auth):
        assert auth == AUTH
        with Client(url, auth) as client:
            assert client.ps() == []
    with Client(url, auth) as client, pytest.raises(ServerUnreachable):
        client.ps()


def test_the_command_line_goes_through_the_tunnel(stampede: Stampede) -> None:
    assert stampede("ps", "--json", "--server", "ssh://root@h1").json == []


def test_a_login_that_fails_is_unreachable(monkeypatch: pytest.MonkeyPatch, stampede: Stampede) -> None:
    monkeypatch.setenv("REFUSE", "1")
    ended = stampede("ps", "--server", "ssh://h1")
    assert ended.code == 5
    assert "Permission denied" in ended.err


def test_a_host_without_a_server_is_unreachable(monkeypatch: pytest.MonkeyPatch, stampede: Stampede) -> None:
    monkeypatch.setenv("NO_SERVER", "1")
    ended = stampede("ps", "--server", "ssh://h1")
    assert ended.code == 5
    assert "stampede server start" in ended.err
