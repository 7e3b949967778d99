"""What pruning removes, when, and what it leaves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from stampede.backup.catalogue import backups
from stampede.backup.prune import GRACE, prune
from stampede.backup.tables import CHUNK
from stampede.backup.verify import verify
from stampede.errors import StoreUnavailable
from stampede.retention import Retention
from tests.unit.backup.images import NOW, Image, repository, restored

VOLUME = "shop_db"
LAST = Retention(last=1)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    image = Image(tmp_path / "image", 64 * CHUNK)
    image.write(0, os.urandom(16 * CHUNK))
    return image


def stored_bytes(objects: Mapping[str, tuple[bytes, object]]) -> int:
    return sum(len(content) for name, (content, _) in objects.items() if "/p/" in name)


def test_dropped_backups_are_gone_at_once_and_their_packs_a_day_later(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    image.write(0, os.urandom(16 * CHUNK))
    image.back_up(store, keys)
    before = stored_bytes(store.objects)
    report = prune(store, keys, VOLUME, LAST)
    assert report.dropped == (1,)
    assert [one.backup for one in backups(store, keys, VOLUME)] == [2]
    assert report.deleted_bytes == 0
    assert stored_bytes(store.objects) == before
    store.pass_time(GRACE)
    report = prune(store, keys, VOLUME, LAST)
    assert report.deleted_bytes == before - stored_bytes(store.objects) > 16 * CHUNK
    assert restored(store, keys, tmp_path) == image.content


def test_pruning_again_changes_nothing(image: Image) -> None:
    store, keys = repository()
    for _ in range(3):
        image.write(0, os.urandom(16 * CHUNK))
        image.back_up(store, keys)
    for _ in range(4):
        prune(store, keys, VOLUME, LAST)
        store.pass_time(GRACE)
    before = dict(store.objects)
    report = prune(store, keys, VOLUME, LAST)
    assert (report.dropped, report.condemned_bytes, report.rewritten_bytes, report.deleted_bytes) == ((), 0, 0, 0)
    assert store.objects == before


def test_a_dry_run_says_what_would_be_and_changes_nothing(image: Image) -> None:
    store, keys = repository()
    for _ in range(3):
        image.write(0, os.urandom(16 * CHUNK))
        image.back_up(store, keys)
    before = dict(store.objects)
    report = prune(store, keys, VOLUME, LAST, dry_run=True)
    assert report.dropped == (1, 2)
    assert report.condemned_bytes > 32 * CHUNK
    assert store.objects == before
    assert {decision.item.id: decision.keep for decision in report.decisions} == {"1": False, "2": False, "3": True}


def test_pinned_backups_stay(image: Image) -> None:
    store, keys = repository()
    for _ in range(3):
        image.back_up(store, keys)
    prune(store, keys, VOLUME, LAST, pinned={1})
    assert [one.backup for one in backups(store, keys, VOLUME)] == [1, 3]


def test_packs_of_which_less_than_half_is_needed_are_written_anew(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.write(0, os.urandom(48 * CHUNK))
    image.back_up(store, keys)
    image.write(0, os.urandom(32 * CHUNK))
    for number in range(33, 37):
        image.write(number * CHUNK, os.urandom(4096))
    image.back_up(store, keys)
    image.write(50 * CHUNK, os.urandom(CHUNK))
    image.back_up(store, keys)
    before = stored_bytes(store.objects)
    for _ in range(3):
        prune(store, keys, VOLUME, LAST)
        store.pass_time(GRACE)
        assert restored(store, keys, tmp_path) == image.content
        assert verify(store, keys, VOLUME, NOW, "full").bad == ()
    assert stored_bytes(store.objects) < before - 30 * CHUNK
    image.write(34 * CHUNK, os.urandom(4096))
    image.back_up(store, keys)
    assert restored(store, keys, tmp_path) == image.content


def test_left_overs_of_an_interrupted_run_go_once_they_are_old(image: Image) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    image.write(0, os.urandom(16 * CHUNK))
    store.before = lambda verb, name: _refuse_commits(verb, name)
    with pytest.raises(StoreUnavailable):
        image.back_up(store, keys)
    store.heal()
    before = stored_bytes(store.objects)
    assert prune(store, keys, VOLUME, LAST).condemned_bytes == 0
    store.pass_time(GRACE)
    assert prune(store, keys, VOLUME, LAST).condemned_bytes > 16 * CHUNK
    store.pass_time(GRACE - timedelta(seconds=1))
    assert prune(store, keys, VOLUME, LAST).deleted_bytes == 0
    store.pass_time(timedelta(seconds=1))
    assert prune(store, keys, VOLUME, LAST).deleted_bytes > 16 * CHUNK
    assert stored_bytes(store.objects) < before


def test_a_backup_whose_packs_were_given_up_meanwhile_sends_them_again(image: Image, tmp_path: Path) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    image.write(0, os.urandom(16 * CHUNK))
    other, pruned = store.view(), list[str]()

    def prune_before_the_commit(verb: str, name: str) -> None:
        if verb == "put" and "/s/" in name and not pruned:
            pruned.append(name)
            for _ in range(3):
                prune(store, keys, VOLUME, Retention(), grace=timedelta(0))

    other.before = prune_before_the_commit
    image.back_up(other, keys)
    assert pruned
    assert restored(store, keys, tmp_path) == image.content
    assert verify(store, keys, VOLUME, NOW, "full").bad == ()


def test_what_was_given_up_is_deleted_by_the_next_pruning_if_this_one_dies(image: Image) -> None:
    store, keys = repository()
    image.back_up(store, keys)
    image.write(0, os.urandom(16 * CHUNK))
    image.back_up(store, keys)
    prune(store, keys, VOLUME, LAST)
    store.pass_time(GRACE)
    store.fail_requests(0, "delete")
    with pytest.raises(StoreUnavailable):
        prune(store, keys, VOLUME, LAST)
    store.heal()
    before = stored_bytes(store.objects)
    assert prune(store, keys, VOLUME, LAST).deleted_bytes == before - stored_bytes(store.objects) > 0


def _refuse_commits(verb: str, name: str) -> None:
    if verb == "put" and "/s/" in name:
        raise StoreUnavailable("away")
