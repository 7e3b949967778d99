"""What a read-only mount would let out all the same."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stampede.blocks import ways_out
from stampede.blocks.ways_out import way_out


@pytest.fixture
def folder() -> Iterator[Path]:
    """A path that is short enough for sockets, with a file and a directory in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        (Path(made) / "conf").mkdir()
        (Path(made) / "conf" / "app.ini").write_text("x")
        yield Path(made)


def test_files_directories_and_links_are_none(folder: Path) -> None:
    (folder / "link").symlink_to("/var/run/docker.sock")
    assert way_out(str(folder)) == ""
    assert way_out(str(folder / "conf" / "app.ini")) == ""
    assert way_out(str(folder / "missing")) == ""


def test_a_socket_is_one_wherever_it_lies(folder: Path) -> None:
    path = folder / "conf" / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert way_out(str(path)) == "a socket"
        assert way_out(str(folder)) == f"has a socket: {path}"
        (folder / "link").symlink_to(path)
        assert way_out(str(folder / "link")) == "a socket"


def test_a_pipe_and_a_device_are_ones(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert way_out(str(folder)) == f"has a pipe: {folder / 'pipe'}"
    assert way_out("/dev/null") == "part of the running system"


@pytest.mark.parametrize("path", ["/dev", "/proc", "/proc/1", "/run", "/var/run/", "/sys/fs"])
def test_the_running_system_is_one_whatever_lies_there_now(path: str) -> None:
    assert way_out(path) == "part of the running system"


def test_what_is_too_large_to_look_through_counts_as_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways_out, "_MOST_ENTRIES", 1)
    assert "too many to look through" in way_out(str(folder))
