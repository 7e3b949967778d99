"""`--server ssh://host`, through a real ssh and sshd."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stampede.errors import ServerUnreachable
from stampede.programs import Finished
from tests.conftest import pick_port
from tests.functional.cli.conftest import Shell
from tests.lab.sshd import HOST, LabSshd

pytestmark = pytest.mark.functional


@contextmanager
def host_with(state: Path | None) -> Iterator[LabSshd]:
    own = LabSshd(Path(tempfile.mkdtemp(prefix="st-", dir="/tmp")), pick_port(), state)
    try:
        own.start()
        yield own
    finally:
        own.stop()
        shutil.rmtree(own.folder)


@pytest.fixture
def sshd(shell: Shell) -> Iterator[LabSshd]:
    """A host whose control plane is that of `shell`."""
    with host_with(shell.places.state) as own:
        yield own


def from_elsewhere(shell: Shell, sshd: LabSshd, *words: str, user: str = "root", check: bool = True) -> Finished:
    """A command on a machine that has no control plane of its own."""
    folder = str(sshd.folder)
    elsewhere = {"PATH": sshd.path, "STAMPEDE_STATE_DIR": folder, "STAMPEDE_RUN_DIR": folder, "STAMPEDE_HOST": ""}
    verb, *rest = words
    return shell(verb, "--server", f"ssh://{user}@{HOST}", *rest, check=check, env=elsewhere)


def refusal(shell: Shell, sshd: LabSshd, user: str = "root") -> str:
    """What is said to one who cannot reach the server."""
    ended = from_elsewhere(shell, sshd, "ps", user=user, check=False)
    assert ended.code == ServerUnreachable.exit_code, ended.err
    assert "Traceback" not in ended.err
    return ended.err


def test_commands_reach_a_server_and_its_instances_through_ssh(shell: Shell, sshd: LabSshd) -> None:
    shell("up")
    listed = json.loads(from_elsewhere(shell, sshd, "ps", "--json").out)
    assert {one["stack"] for one in listed} >= {shell.stack}
    said = from_elsewhere(shell, sshd, "exec", "-p", shell.stack, "web", "echo", "there")
    assert said.out == "there\n"


def test_a_host_with_another_key_is_refused(shell: Shell, sshd: LabSshd) -> None:
    sshd.know((sshd.folder / "operator-key.pub").read_text())
    assert "Host key verification failed" in refusal(shell, sshd)


def test_a_login_that_the_host_refuses_is_told(shell: Shell, sshd: LabSshd) -> None:
    (sshd.folder / "operator-key.pub").write_text("")
    said = refusal(shell, sshd)
    assert "Permission denied (publickey)" in said
    assert f"ssh {HOST} true must work unasked" in said


def test_one_who_may_not_read_the_password_is_told_so(shell: Shell, sshd: LabSshd) -> None:
    said = refusal(shell, sshd, user="guest")
    assert "guest" in said
    assert f"ssh://root@{HOST}" in said


def test_a_host_without_a_control_plane_is_told(shell: Shell) -> None:
    with host_with(None) as sshd:
        assert "stampede server start" in refusal(shell, sshd)
