"""Commits that cannot be read: what others say stays usable, the next backup goes on, and nothing is pruned unsaid."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from stampede.backup.catalogue import backups
from stampede.backup.prune import PruneReport, prune
from stampede.backup.restore import restore
from stampede.backup.tables import CHUNK
from stampede.backup.verify import verify
from stampede.errors import Damaged
from stampede.retention import Retention
from tests.unit.backup.images import NOW, Image, repository, restored

VOLUME = "shop_db"


class Stored:
    """A volume of 40 chunks. `kept` has what each backup was made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store, self.keys = repository()
        self.image = Image(folder / "image", 64 * CHUNK)
        self.image.write(0, os.urandom(40 * CHUNK))
        self.kept: dict[int, bytes] = {}

    def back_up(self, times: int = 1) -> None:
        for _ in range(times):
            self.image.write(os.urandom(1)[0] % 60 * CHUNK, os.urandom(CHUNK))
            content = self.image.content
            self.kept[self.image.back_up(self.store, self.keys).backup] = content

    def damage(self, name: str) -> None:
        content, written = self.store.objects[name]
        self.store.objects[name] = (content[:40] + bytes([content[40] ^ 1]) + content[41:], written)

    def lose(self, *seqs: int) -> None:
        for seq in seqs:
            self.damage(f"v/{VOLUME}/s/{seq:012}")
            self.kept.pop(seq, None)

    def listed(self) -> list[int]:
        return [one.backup for one in backups(self.store, self.keys, VOLUME)]

    def lost(self) -> list[int]:
        return [one.backup for one in backups(self.store, self.keys, VOLUME, with_lost=True) if one.trouble]

    def prune(self, last: int) -> PruneReport:
        return prune(self.store, self.keys, VOLUME, Retention(last=last), grace=timedelta(0))

    def check(self) -> None:
        """Every backup that is kept and not lost is restored as it was."""
        assert self.listed() == sorted(self.kept)
        for seq, content in self.kept.items():
            assert restored(self.store, self.keys, self.folder, seq) == content


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path)


@pytest.mark.parametrize("how_many", [1, 2])
def test_older_backups_are_listed_and_restored_and_the_next_goes_on_behind(stored: Stored, how_many: int) -> None:
    stored.back_up(4)
    stored.lose(*range(5 - how_many, 5))
    stored.check()
    assert stored.lost() == list(range(5 - how_many, 5))
    report = restore(stored.store, stored.keys, VOLUME, stored.folder / "target")
    assert (report.backup, report.newer_lost) == (4 - how_many, tuple(stored.lost()))
    with pytest.raises(Damaged, match="backup 4 of shop_db cannot be read"):
        restored(stored.store, stored.keys, stored.folder, 4)
    stored.back_up()
    assert max(stored.kept) == 5
    stored.check()
    stored.back_up(70)  # over a checkpoint
    stored.check()
    assert stored.lost() == list(range(5 - how_many, 5))


def test_what_changed_since_a_lost_backup_is_found_by_hash(stored: Stored) -> None:
    stored.back_up(2)
    stored.lose(2)
    stored.image.write(50 * CHUNK, os.urandom(CHUNK))
    report = stored.image.back_up(stored.store, stored.keys)
    assert (report.backup, report.parent) == (3, 1)
    assert report.changed_bytes <= 3 * CHUNK
    assert restored(stored.store, stored.keys, stored.folder) == stored.image.content


def test_verify_names_lost_commits_also_behind_a_checkpoint(stored: Stored) -> None:
    stored.back_up(3)
    stored.lose(3)
    stored.back_up()
    for _ in range(2):
        found = verify(stored.store, stored.keys, VOLUME, NOW)
        assert [(bad.object, bad.backups) for bad in found.bad] == [("v/shop_db/s/000000000003", (3,))]
        stored.back_up(66)


def test_nothing_is_pruned_before_verify_has_named_what_is_lost(stored: Stored) -> None:
    stored.back_up(3)
    stored.lose(3)
    packs = {name for name in stored.store.objects if "/p/" in name}
    with pytest.raises(Damaged, match=r"nothing is pruned: 3 \(stampede backup verify"):
        stored.prune(1)
    assert packs <= stored.store.objects.keys()
    verify(stored.store, stored.keys, VOLUME, NOW)
    stored.back_up()
    for _ in range(3):
        stored.prune(1)
    stored.kept = {seq: content for seq, content in stored.kept.items() if seq == max(stored.kept)}
    stored.check()


def test_a_lost_sweep_takes_nothing_with_it(stored: Stored) -> None:
    stored.back_up(3)
    stored.image.write(0, os.urandom(40 * CHUNK))
    stored.back_up(2)
    stored.prune(1)  # commits a drop, and a sweep that moves what is still needed of old packs
    stored.kept = {seq: content for seq, content in stored.kept.items() if seq == max(stored.kept)}
    newest = max(int(name[-12:]) for name in stored.store.objects if "/s/" in name)
    stored.lose(newest)
    stored.check()
    stored.back_up()
    stored.check()
    verify(stored.store, stored.keys, VOLUME, NOW)
    for _ in range(3):
        stored.prune(1)
    assert restored(stored.store, stored.keys, stored.folder) == stored.image.content
    assert verify(stored.store, stored.keys, VOLUME, NOW, "full").damaged_backups == (newest,)


def test_a_backup_that_was_dropped_by_a_lost_commit_is_no_base(stored: Stored) -> None:
    stored.back_up(2)
    base, size = stored.image.base, stored.image.base_size
    stored.image.write(0, os.urandom(40 * CHUNK))
    stored.back_up()
    for _ in range(3):
        stored.prune(1)
    stored.lose(4)  # which dropped 1 and 2, whose packs are gone
    stored.image.base, stored.image.base_size, stored.image.changed = base, size, set()
    stored.image.write(7 * CHUNK, b"changed")
    report = stored.image.back_up(stored.store, stored.keys)
    assert report.parent == 3
    assert restored(stored.store, stored.keys, stored.folder, 3) == stored.kept[3]
    assert restored(stored.store, stored.keys, stored.folder) == stored.image.content


def test_a_lost_checkpoint_is_read_from_its_commits_and_named(stored: Stored) -> None:
    stored.back_up(70)
    (name,) = [name for name in stored.store.objects if "/k/" in name]
    stored.damage(name)
    assert stored.listed() == list(range(1, 71))
    found = verify(stored.store, stored.keys, VOLUME, NOW)
    assert [bad.object for bad in found.bad] == [name]


def test_a_key_that_opens_no_commit_is_taken_for_the_wrong_one(stored: Stored) -> None:
    stored.back_up(1)
    stored.lose(1)
    with pytest.raises(Damaged, match="is it the key of this repository"):
        stored.back_up()


def test_a_stray_commit_with_a_number_far_ahead_is_left_behind(stored: Stored) -> None:
    stored.back_up(2)
    stored.store.objects[f"v/{VOLUME}/s/999999999999"] = (b"stray", stored.store.clock)
    stored.back_up()
    stored.check()
    assert stored.lost() == [999999999999]
