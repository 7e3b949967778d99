"""Copying a directory in two passes, on a real file system."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from stampede.blocks.tree_copy import CLOCK_MARGIN_S, copy_tree, identity_of, tree_bytes
from stampede.errors import Cancelled
from tests.lab.killing import killed_at

pytestmark = pytest.mark.functional
MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One of everything that a volume may hold."""
    root = tmp_path / "source"
    (root / "deep/er").mkdir(parents=True)
    (root / "plain").write_bytes(os.urandom(3 * MIB))
    (root / "deep/er/mine").write_text("mine")
    os.chown(root / "deep/er/mine", 1000, 1001)
    (root / "deep/er/mine").chmod(0o4750)
    (root / "linked").hardlink_to(root / "plain")
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    with (root / "sparse").open("wb") as sparse:
        sparse.truncate(64 * MIB)
        sparse.seek(32 * MIB)
        sparse.write(b"in the middle")
    os.setxattr(root / "plain", "user.note", b"yes")
    (root / "deep").chmod(0o1777)
    root.chmod(0o2755)
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def listing(root: Path) -> dict[str, Any]:
    """Everything of a tree that a program could notice."""
    found: dict[str, Any] = {}
    for path in sorted([root, *root.rglob("*")]):
        said = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        link = str(path.readlink()) if path.is_symlink() else ""
        attributes = sorted(os.listxattr(path, follow_symlinks=False))
        found[str(path.relative_to(root))] = (
            *(said.st_mode, said.st_uid, said.st_gid, said.st_mtime_ns, said.st_nlink if path.is_file() else 0),
            *(content, link, attributes),
        )
    return found


def test_everything_is_as_it_was_and_holes_stay_holes(source: Path, target: Path) -> None:
    copied = copy_tree(source, target)
    assert listing(target) == listing(source)
    assert (copied.files, copied.copied_bytes < 4 * MIB) == (6, True)
    assert tree_bytes(target) < 5 * MIB * 2
    assert copy_tree(source, target).copied_bytes == 0


def test_the_second_pass_copies_what_changed_since_the_first_even_if_its_time_was_set_back(
    source: Path, target: Path
) -> None:
    (target / "stale").write_text("of before")
    copy_tree(source, target)
    began = os.lstat(source / "plain").st_ctime + CLOCK_MARGIN_S + 0.001
    times = (source / "deep/er/mine").stat()
    (source / "deep/er/mine").write_text("MINE")
    os.utime(source / "deep/er/mine", ns=(times.st_atime_ns, times.st_mtime_ns))
    (source / "dangling").unlink()
    (source / "new").mkdir()
    os.utime(source / "deep", ns=(1, 1))
    while os.lstat(source / "deep/er/mine").st_ctime < began - CLOCK_MARGIN_S:
        os.utime(source / "deep/er/mine", ns=(times.st_atime_ns, times.st_mtime_ns))
    again = copy_tree(source, target, changed_since=began)
    assert listing(target) == listing(source)
    assert 0 < again.copied_bytes < MIB


def test_killed_before_each_of_its_side_effects_it_ends_the_same(source: Path, target: Path) -> None:
    for step in range(1, 400, 3):
        if not killed_at(step, lambda: copy_tree(source, target)):
            break
    assert listing(target) == listing(source)


def test_a_cancelled_copy_stops(source: Path, target: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        copy_tree(source, target, cancelled=stop)


def test_the_first_pass_bears_files_that_come_and_go(source: Path, target: Path) -> None:
    ended = threading.Event()

    def churn() -> None:
        while not ended.is_set():
            (source / "n.new").write_text("x" * 100)
            (source / "n.new").rename(source / "n")
            (source / "there").mkdir()
            (source / "there").rmdir()

    writer = threading.Thread(target=churn)
    writer.start()
    try:
        for _ in range(50):
            copy_tree(source, target)
    finally:
        ended.set()
        writer.join()
    copy_tree(source, target, changed_since=0.0)
    assert listing(target) == listing(source)


def test_a_directory_is_known_again_under_another_name_and_a_new_one_is_not(source: Path, tmp_path: Path) -> None:
    first = identity_of(source)
    (source / "more").write_text("more")
    moved = source.rename(tmp_path / "moved")
    source.mkdir()
    assert identity_of(moved) == first != identity_of(source)
