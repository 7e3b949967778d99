"""Single paths out of a backup, on a real S3 server by a real mount."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stampede.blocks.backups import RepositoryAccess
from stampede.blocks.backups.copying import copy_out
from stampede.blocks.backups.opened import OpenedBackup, opened_backup
from stampede.blocks.object_store import S3Store
from stampede.errors import BadInput, Damaged, Refused, UnknownName
from stampede.places import Places
from tests.functional.backup.volumes import MIB, VOLUME, back_up, made_access, made_image
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional

CONTENT = os.urandom(3 * MIB)


def write(data: Path) -> None:
    tree = data / "site/pages"
    tree.mkdir(parents=True)
    (data / "site").chmod(0o751)
    (tree / "plain").write_bytes(CONTENT)
    os.chown(tree / "plain", 1234, 5678)
    (tree / "plain").chmod(0o640)
    os.setxattr(tree / "plain", "user.colour", b"green")
    os.utime(tree / "plain", ns=(10**18, 10**18 + 7))
    with (tree / "sparse").open("wb") as file:
        file.truncate(50 * MIB)
        file.seek(30 * MIB)
        file.write(b"island")
    (tree / "empty").touch()
    (tree / "away").symlink_to("/etc/passwd")
    (tree / "out").symlink_to("..")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
    os.mknod(tree / "device", 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    (data / "big").write_bytes(os.urandom(30 * MIB))


@pytest.fixture(scope="module")
def access(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> RepositoryAccess:
    access = made_access(seaweedfs.address(seaweedfs.bucket()))
    back_up(access, made_image(tmp_path_factory.mktemp("site"), 128 * MIB, write))
    return access


@pytest.fixture
def opened(access: RepositoryAccess, places: Places) -> Iterator[OpenedBackup]:
    with opened_backup(access, VOLUME, None, places) as found:
        yield found


def test_a_folder_comes_with_modes_owners_attributes_times_links_and_holes(
    opened: OpenedBackup, tmp_path: Path
) -> None:
    report = copy_out(opened, ["/site/pages"], tmp_path)
    tree = tmp_path / "site/pages"
    assert (tree / "plain").read_bytes() == CONTENT
    about = (tree / "plain").stat()
    assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (1234, 5678, 0o640)
    assert about.st_mtime_ns == 10**18 + 7
    assert os.getxattr(tree / "plain", "user.colour") == b"green"
    sparse = (tree / "sparse").read_bytes()
    assert (len(sparse), sparse[30 * MIB : 30 * MIB + 7]) == (50 * MIB, b"island\0")
    assert (tree / "sparse").stat().st_blocks * 512 < MIB
    assert str((tree / "away").readlink()) == "/etc/passwd"
    assert stat.S_IMODE((tmp_path / "site").stat().st_mode) == 0o751
    assert sorted(report.left_out) == ["site/pages/device", "site/pages/fifo", "site/pages/socket"]
    assert (report.files, report.folders) == (5, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]


def test_only_what_was_asked_for_is_copied_and_fetched(opened: OpenedBackup, tmp_path: Path) -> None:
    before = opened.received_bytes
    copy_out(opened, ["site/pages/empty", "last"], tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "last",
        "site",
        "site/pages",
        "site/pages/empty",
    ]
    assert opened.received_bytes - before < 3 * MIB


@pytest.mark.parametrize("path", ["../x", "site/../../x", "", "/", ".", "site/\0"])
def test_a_path_that_leads_outside_is_refused(opened: OpenedBackup, tmp_path: Path, path: str) -> None:
    with pytest.raises(BadInput, match="no path in a volume"):
        copy_out(opened, [path], tmp_path)


def test_links_on_the_way_are_not_followed_on_either_side(opened: OpenedBackup, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder"):
        copy_out(opened, ["site/pages/out/pages/plain"], tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target/site").symlink_to("../elsewhere")
    with pytest.raises(Refused, match="is no folder"):
        copy_out(opened, ["site/pages/plain"], tmp_path / "target")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_missing_or_there_already_is_said_and_nothing_is_replaced(opened: OpenedBackup, tmp_path: Path) -> None:
    for path in ("nothing", "nothing/below", "site/nothing"):
        with pytest.raises(UnknownName, match="in the backup"):
            copy_out(opened, [path], tmp_path)
    (tmp_path / "last").write_text("mine")
    with pytest.raises(Refused, match="there already"):
        copy_out(opened, ["last"], tmp_path)
    assert (tmp_path / "last").read_text() == "mine"


def test_what_a_killed_copy_has_left_is_cleared(opened: OpenedBackup, tmp_path: Path) -> None:
    (tmp_path / ".stampede-restoring/one/half").mkdir(parents=True)
    copy_out(opened, ["last"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_damage_is_told_by_its_object_and_no_part_of_the_file_is_left(
    seaweedfs: SeaweedFS, tmp_path: Path, places: Places
) -> None:
    access = made_access(seaweedfs.address(seaweedfs.bucket()))
    (tmp_path / "site").mkdir()
    back_up(access, made_image(tmp_path / "site", 128 * MIB, write))
    store = S3Store(access.address)
    victim = [found.name for found in store.list(f"v/{VOLUME}/p/")][1]
    store.delete([victim])
    store.close()
    (tmp_path / "target").mkdir()
    with opened_backup(access, VOLUME, None, places) as opened, pytest.raises(Damaged, match=victim):
        copy_out(opened, ["big"], tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []
    assert subprocess.run(["findmnt", "-rno", "TARGET"], capture_output=True).stdout.find(b"/opened/") == -1
