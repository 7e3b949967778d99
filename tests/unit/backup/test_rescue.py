"""scripts/rescue.py in a process without Stampede: it restores what the engine does, or says what is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stampede.backup.catalogue import backups
from stampede.backup.prune import prune
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import Keys, create_repository
from stampede.backup.tables import CHUNK, SEGMENT
from stampede.retention import Retention
from tests.fakes.object_store import FakeStore
from tests.unit.backup.images import NOW, Image
from tests.unit.backup.test_histories import VOLUME, Histories

RESCUE = Path(__file__).parents[3] / "scripts/rescue.py"
BARRED = """
import runpy, sys
sys.modules["stampede"] = None
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def rescue(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Isolated (-I): neither the directory nor PYTHONPATH are looked at; and importing stampede fails."""
    argv = [sys.executable, "-I", "-c", BARRED, str(RESCUE), *map(str, arguments)]
    own = os.environ | environment
    return subprocess.run(argv, cwd=cwd, env=own, capture_output=True, text=True, stdin=subprocess.DEVNULL)


class Copy:
    """A repository with two backups, and a copy of its bucket in a directory."""

    def __init__(self, folder: Path, volume: str = VOLUME) -> None:
        self.folder, self.volume, self.bucket = folder, volume, folder / "bucket"
        self.store, self.key = FakeStore(), folder / "key"
        self.key.write_text(new_recovery_key() + "\n")
        self.keys = create_repository(self.store, self.key.read_text(), NOW)
        self.image = Image(folder / "image", SEGMENT + 40 * CHUNK + 5)
        self.image.write(0, os.urandom(20 * CHUNK))
        self.image.write(SEGMENT + 3 * CHUNK, os.urandom(20 * CHUNK))
        self.first = self.back_up()
        self.image.write(CHUNK + 4096, os.urandom(8192))
        self.image.write(self.image.size - 5, b"where")
        self.second = self.back_up()

    def back_up(self) -> bytes:
        self.image.back_up(self.store, self.keys, volume=self.volume, spec='{"revision": 7}')
        self.synced()
        return self.image.content

    def synced(self) -> None:
        lay_down(self.store, self.bucket)

    def rescue(self, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return rescue(command, self.bucket, *arguments, "--key-file", self.key, cwd=self.folder)

    def restored(self, *arguments: object) -> bytes:
        target = self.folder / "restored"
        target.unlink(missing_ok=True)
        ended = self.rescue("restore", self.volume, target, *arguments)
        assert ended.returncode == 0, ended.stderr
        assert "verified" in ended.stdout
        return target.read_bytes()

    def objects(self, kind: str) -> list[Path]:
        return sorted(self.bucket.glob(f"v/*/{kind}/*"))


def lay_down(store: FakeStore, folder: Path) -> None:
    for name, (content, _) in store.objects.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


class RescuedHistories(Histories):
    """At the end of each history, all backups that are kept come back without Stampede, byte for byte."""

    def made_repository(self) -> tuple[FakeStore, Keys]:
        self.key, store = new_recovery_key(), FakeStore()
        return store, create_repository(store, self.key, NOW)

    def teardown(self) -> None:
        if hasattr(self, "kept"):
            lay_down(self.store, self.folder / "bucket")
            (self.folder / "key").write_text(self.key)
            for one in backups(self.store, self.keys, VOLUME):
                target = self.folder / f"restored-{one.backup}"
                wanted = ["restore", "bucket", VOLUME, target, "--backup", one.backup, "--key-file", "key"]
                ended = rescue(*wanted, cwd=self.folder)
                assert ended.returncode == 0, ended.stderr
                assert target.read_bytes() == self.kept[one.backup], one.backup
        super().teardown()


TestRescuedHistories = RescuedHistories.TestCase
TestRescuedHistories.settings = settings(
    max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_both_backups_come_back_and_are_listed_with_what_they_were_made_of(copy: Copy) -> None:
    assert copy.restored() == copy.second
    assert copy.restored("--backup", 1) == copy.first
    listed = copy.rescue("list").stdout.splitlines()
    assert [line.split()[:3] for line in listed] == [[VOLUME, "backup", "1"], [VOLUME, "backup", "2"]]
    assert copy.rescue("spec", VOLUME, "--backup", 1).stdout == '{"revision": 7}\n'


def test_a_name_with_dots_slashes_and_umlauts_comes_back(tmp_path: Path) -> None:
    copy = Copy(tmp_path, "../größe und mehr")
    assert copy.restored() == copy.second


def test_a_long_log_with_checkpoints_drops_and_moved_frames_comes_back(copy: Copy) -> None:
    contents = {1: copy.first, 2: copy.second}
    for number in range(70):
        copy.image.write(number * 4096, os.urandom(4096))
        contents[copy.image.back_up(copy.store, copy.keys).backup] = copy.image.content
    for _ in range(3):
        prune(copy.store, copy.keys, VOLUME, Retention(last=2), pinned=frozenset([40]), grace=NOW - NOW)
    copy.bucket.rename(copy.folder / "before")
    copy.synced()
    kept = [one.backup for one in backups(copy.store, copy.keys, VOLUME)]
    assert [line.split()[2] for line in copy.rescue("list").stdout.splitlines()] == [str(seq) for seq in kept]
    assert len(copy.objects("p")) < 20
    for checkpoint in copy.objects("k"):
        assert all(copy.restored("--backup", seq) == contents[seq] for seq in kept)
        flip(checkpoint, 100)
    assert all(copy.restored("--backup", seq) == contents[seq] for seq in kept)


def test_a_flipped_bit_is_told_with_its_object_and_what_can_be_read_is_left_beside(copy: Copy) -> None:
    victim = copy.objects("p")[0]
    flip(victim, 5000)
    ended = copy.rescue("restore", VOLUME, copy.folder / "restored")
    assert ended.returncode == 3
    assert f"{victim.relative_to(copy.bucket)}, bytes 0 to " in ended.stderr
    assert not (copy.folder / "restored").exists()
    found, expected = (copy.folder / "restored.partial").read_bytes(), copy.second
    same = [found[at : at + CHUNK] == expected[at : at + CHUNK] for at in range(0, len(expected), CHUNK)]
    assert same.count(False) == 16  # one frame
    assert all(found[at * CHUNK : (at + 1) * CHUNK] == bytes(CHUNK) for at, equal in enumerate(same) if not equal)


def test_a_missing_object_is_told_by_name(copy: Copy) -> None:
    victim = copy.objects("p")[0]
    victim.unlink()
    ended = copy.rescue("restore", VOLUME, copy.folder / "restored")
    assert (ended.returncode, f"{victim.relative_to(copy.bucket)} is missing" in ended.stderr) == (3, True)


def test_a_damaged_commit_is_told_and_the_other_backups_are_there(copy: Copy) -> None:
    first, second = copy.objects("s")
    flip(second, 50)
    listed = copy.rescue("list")
    assert listed.returncode == 3
    assert f"{second.relative_to(copy.bucket)} is not what was written there" in listed.stderr
    assert copy.restored() == copy.first
    first.unlink()
    assert copy.rescue("restore", VOLUME, copy.folder / "other").returncode == 2


def test_a_wrong_and_a_mistyped_key_have_an_exit_code_of_their_own(copy: Copy) -> None:
    right = copy.key.read_text()
    copy.key.write_text(new_recovery_key())
    ended = copy.rescue("list")
    assert (ended.returncode, "does not open the repository" in ended.stderr) == (4, True)
    copy.key.write_text(right.replace(right[0], "Z" if right[0] != "Z" else "Y", 1))
    ended = copy.rescue("list")
    assert (ended.returncode, "mistyped" in ended.stderr) == (4, True)
    copy.key.write_text(right.lower().replace("-", " "))
    assert copy.rescue("list").returncode == 0


def test_a_file_that_is_there_is_not_written_over(copy: Copy) -> None:
    (copy.folder / "mine").write_text("precious")
    assert copy.rescue("restore", VOLUME, copy.folder / "mine").returncode == 2
    assert (copy.folder / "mine").read_text() == "precious"


def test_nothing_there_and_arguments_that_make_no_sense_are_said(copy: Copy) -> None:
    assert copy.rescue("restore", "nobody", copy.folder / "x").returncode == 2
    assert copy.rescue("restore", VOLUME).returncode == 2
    assert copy.rescue("restore", VOLUME, copy.folder / "x", "--backup", 9).returncode == 2
    ended = rescue("list", copy.folder / "nowhere", "--key-file", copy.key, cwd=copy.folder)
    assert (ended.returncode, "repo is missing" in ended.stderr) == (3, True)
