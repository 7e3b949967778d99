"""Backups into a fake store: what is sent, and that what comes back is what was there."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from stampede.backup.catalogue import backups, catalogue
from stampede.backup.log import Commit, Log
from stampede.backup.names import volume_folder
from stampede.backup.tables import BLOCK, CHUNK, SEGMENT
from stampede.errors import Refused, StoreUnavailable
from tests.fakes.object_store import FakeStore
from tests.unit.backup.images import Image, repository, restored

MIB = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Two segments and a bit, not a whole number of chunks; data in several places."""
    image = Image(tmp_path / "image", 2 * SEGMENT + 3 * CHUNK + 5)
    image.write(0, os.urandom(3 * MIB))
    image.write(SEGMENT - CHUNK, os.urandom(2 * CHUNK))
    image.write(image.size - 100, os.urandom(100))
    return image


def test_what_was_backed_up_is_restored(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    report = image.back_up(store, keys)
    assert restored(store, keys, tmp_path) == image.content
    assert report.logical_bytes == image.size
    assert report.data_bytes == report.changed_bytes
    assert report.uploaded_bytes < 1.02 * report.changed_bytes


def test_a_restored_image_has_the_holes_of_the_original(image: Image, tmp_path: Path) -> None:
    from stampede.backup.restore import restore

    store, keys = repository()
    image.back_up(store, keys)
    restore(store, keys, "shop_db", tmp_path / "restored")
    assert (tmp_path / "restored").stat().st_blocks <= image.path.stat().st_blocks + 3 * CHUNK // 512


def test_an_unchanged_image_costs_three_requests_and_nothing_sent_but_a_commit(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    report = image.back_up(store, keys)
    assert report.requests == 3
    assert (report.changed_bytes, report.uploaded_bytes) == (0, 0)
    assert restored(store, keys, tmp_path, report.backup) == image.content


def test_a_second_backup_uploads_only_what_changed(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    before = image.content
    for number in range(0, 40, 2):
        image.write(number * CHUNK + 2 * BLOCK, os.urandom(BLOCK))
    report = image.back_up(store, keys)
    assert report.changed_bytes == 20 * BLOCK
    assert 20 * BLOCK < report.uploaded_bytes < 20 * BLOCK + 40_000  # two tables and a manifest
    assert restored(store, keys, tmp_path) == image.content
    assert restored(store, keys, tmp_path, 1) == before


def test_a_chunk_is_rewritten_after_four_patches(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    sent = []
    for number in range(6):
        image.write((number % 3) * BLOCK, os.urandom(BLOCK))
        sent.append(image.back_up(store, keys).changed_bytes)
        assert restored(store, keys, tmp_path) == image.content
    assert sent == [BLOCK] * 4 + [CHUNK, BLOCK]


@pytest.mark.parametrize("rescan", [False, True])
def test_what_became_a_hole_does_not_come_back(image: Image, tmp_path: Path, rescan: bool) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    image.punch(0, 2 * MIB + 7)
    image.punch(SEGMENT - CHUNK, SEGMENT + CHUNK)
    report = image.back_up(store, keys, rescan=rescan)
    assert restored(store, keys, tmp_path) == image.content
    assert report.data_bytes < image.path.stat().st_size


@pytest.mark.parametrize("rescan", [False, True])
@pytest.mark.parametrize(
    "size", [2 * SEGMENT, SEGMENT + 7, SEGMENT - CHUNK - 1, 2 * MIB + 100, MIB, 1, 0, 3 * SEGMENT + 1]
)
def test_a_volume_that_shrank_or_grew_is_as_long_as_it_is(
    image: Image, tmp_path: Path, size: int, rescan: bool
) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    image.resize(size)
    image.back_up(store, keys, rescan=rescan)
    assert restored(store, keys, tmp_path) == image.content
    image.resize(2 * SEGMENT + 3 * CHUNK + 5)
    image.back_up(store, keys, rescan=rescan)
    assert restored(store, keys, tmp_path) == image.content


@pytest.mark.parametrize("size", [0, 1, BLOCK, CHUNK, CHUNK + 1, SEGMENT])
def test_images_of_zeros_need_no_packs(tmp_path: Path, size: int) -> None:
    store, keys = repository()
    image = Image(tmp_path / "image", size)
    image.back_up(store, keys)
    assert restored(store, keys, tmp_path) == bytes(size)
    assert not [name for name in store.objects if "/p/" in name]


def test_a_rescan_sends_nothing_that_is_there(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    report = image.back_up(store, keys, rescan=True)
    assert report.uploaded_bytes == 0
    assert report.read_bytes > 3 * MIB


def test_a_base_that_is_not_kept_any_more_means_a_rescan(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    image.write(5, b"changed")
    image.base, image.changed = 77, set()
    image.back_up(store, keys)
    assert restored(store, keys, tmp_path) == image.content


def test_a_backup_sets_out_from_the_one_its_changes_are_known_against(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    other = Image(tmp_path / "other", 5 * CHUNK)
    other.write(0, os.urandom(4 * CHUNK))
    other.back_up(store, keys)
    image.write(7, b"changed")
    report = image.back_up(store, keys)
    assert (report.backup, report.parent, report.changed_bytes) == (3, 1, BLOCK)
    assert restored(store, keys, tmp_path) == image.content
    assert restored(store, keys, tmp_path, 2) == other.content


def test_an_interrupted_upload_is_adopted_and_only_the_rest_is_sent(tmp_path: Path) -> None:
    store, keys = repository()
    image = Image(tmp_path / "image", 100 * MIB)
    image.write(0, os.urandom(90 * MIB))
    store.fail_requests(3, "put")
    with pytest.raises(StoreUnavailable):
        image.back_up(store, keys)
    store.heal()
    sent = sum(len(content) for content, _ in store.objects.values())
    assert backups(store, keys, "shop_db") == []
    report = image.back_up(store, keys)
    assert sent > 40 * MIB
    assert report.uploaded_bytes < 92 * MIB - sent
    assert restored(store, keys, tmp_path) == image.content


def test_interrupted_patches_are_adopted_as_well(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    for number in range(16):
        image.write(number * CHUNK, os.urandom(BLOCK))

    def fail_commits(verb: str, name: str) -> None:
        if verb == "put" and "/s/" in name:
            raise StoreUnavailable("away")

    store.before = fail_commits
    with pytest.raises(StoreUnavailable):
        image.back_up(store, keys)
    store.heal()
    report = image.back_up(store, keys)
    assert report.changed_bytes == 16 * BLOCK
    assert report.uploaded_bytes < 30_000
    assert restored(store, keys, tmp_path) == image.content


def test_a_target_that_is_there_is_never_overwritten(image: Image, tmp_path: Path) -> None:
    from stampede.backup.restore import restore

    store, keys = repository()
    image.back_up(store, keys)
    with pytest.raises(Refused):
        restore(store, keys, "shop_db", image.path)


def test_the_spec_travels_with_the_backup_and_cannot_be_read_without_the_key(image: Image, tmp_path: Path) -> None:
    from stampede.backup.restore import restore

    store, keys = repository()
    image.back_up(store, keys, spec='{"revision": 7}')
    assert restore(store, keys, "shop_db", tmp_path / "restored").spec == '{"revision": 7}'
    assert not any(b"revision" in content for content, _ in store.objects.values())


def test_ranges_are_read_without_the_rest(image: Image) -> None:
    from stampede.backup.reader import OpenBackup

    store, keys = repository()
    image.back_up(store, keys)
    image.write(CHUNK + 100, os.urandom(50))
    image.back_up(store, keys)
    opened, content, dice = OpenBackup(store, keys, "shop_db"), image.content, random.Random(1)
    for _ in range(50):
        start, length = dice.randrange(image.size + 10), dice.choice([0, 1, 100, BLOCK, 3 * CHUNK, 2 * MIB])
        assert opened.read_range(start, length) == content[start : start + length]


def test_the_catalogue_lists_all_volumes(image: Image) -> None:
    store, keys = repository()
    for volume in ("shop_db", "shop uploads/ü", "..", "a.b"):
        image.base = 0
        image.back_up(store, keys, volume=volume)
    image.back_up(store, keys, volume="a.b")
    listed = [(one.volume, one.backup) for one in catalogue(store, keys)]
    assert sorted(listed) == sorted([("shop_db", 1), ("shop uploads/ü", 1), ("..", 1), ("a.b", 1), ("a.b", 2)])


def test_many_backups_are_listed_in_few_requests(tmp_path: Path) -> None:
    store, keys = repository()
    image = Image(tmp_path / "image", CHUNK)
    for number in range(150):
        image.write(0, b"%d" % number)
        assert image.back_up(store, keys).requests <= 75
    other = store.view()
    assert [one.backup for one in backups(other, keys, "shop_db")] == list(range(1, 151))
    assert other.counts.requests < 70
    assert restored(store, keys, tmp_path, 30)[:2] == b"29"


def test_a_log_of_five_thousand_backups_is_as_cheap_as_a_short_one(tmp_path: Path) -> None:
    store, keys = repository()
    image = Image(tmp_path / "image", CHUNK)
    image.write(0, b"content")
    image.back_up(store, keys)
    log = Log(store, keys.volume(volume_folder("shop_db")))
    head = log.head()
    changes = {"kind": "snapshot", "snapshot": head.snapshot}

    def write(following: Commit) -> Commit:
        return following.model_copy(update={**changes, "newest": following.seq})

    for _ in range(4999):
        head = log.publish(head, write, lambda other: None)
    image.base = 5000
    assert image.back_up(store, keys).requests <= 5
    other = store.view()
    assert len(backups(other, keys, "shop_db")) == 5001
    assert other.counts.requests < 3 + 2 + 64
    assert restored(store, keys, tmp_path) == image.content


def test_an_image_of_noise_takes_as_much_and_comes_back(tmp_path: Path) -> None:
    store, keys = repository()
    image = Image(tmp_path / "image", 40 * MIB + 1)
    image.write(0, os.urandom(40 * MIB + 1))
    assert image.back_up(store, keys).uploaded_bytes < 1.01 * image.size
    assert restored(store, keys, tmp_path) == image.content


def test_nothing_is_written_twice(image: Image) -> None:
    store, keys = repository()
    put: list[str] = []
    store.after = lambda verb, name: put.append(name) if verb == "put" else None
    for _ in range(3):
        image.write(0, os.urandom(CHUNK))
        image.back_up(store, keys)
    assert len(put) == len(set(put))


def test_a_fake_view_shares_objects(image: Image) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    assert isinstance(store.view(), FakeStore)
    assert len(backups(store.view(), keys, "shop_db")) == 1
