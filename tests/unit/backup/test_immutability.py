"""Locks: whatever a backup needs is locked for long enough, at little cost, and pruning lives with it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from stampede.backup.catalogue import backups
from stampede.backup.prune import prune
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import Keys, add_slot
from stampede.backup.store import Lock
from stampede.backup.tables import CHUNK
from stampede.backup.verify import verify
from stampede.retention import Retention
from tests.fakes.object_store import FakeStore
from tests.unit.backup.images import NOW, Image, repository, restored

VOLUME = "shop_db"
DAY = timedelta(days=1)
LOCK = Lock(mode="compliance", days=30)


class Stored:
    """A volume of 40 chunks in a repository that locks for 30 days. `asked` has the verbs of all requests."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        self.store, self.keys = repository()
        self.store.lock = LOCK
        self.store.before = lambda verb, name: self.asked.append(verb)
        self.image = Image(folder / "image", 64 * CHUNK)
        self.write(0, 40)

    def write(self, first: int, count: int = 1) -> None:
        self.image.write(first * CHUNK, os.urandom(count * CHUNK))

    def back_up(self) -> list[str]:
        """The verbs of its requests."""
        self.asked.clear()
        self.image.back_up(self.store, self.keys)
        return list(self.asked)

    def prune(self) -> tuple[int, int]:
        report = prune(self.store, self.keys, VOLUME, Retention(last=1), grace=timedelta(0))
        return report.deleted_bytes, report.locked_bytes


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return Stored(tmp_path)


def needed(store: FakeStore, keys: Keys, folder: Path) -> set[str]:
    """What has to be read to list, open and restore the newest backup from the bucket and the key alone."""
    names = {"repo"}
    watching = store.view()
    watching.before = lambda verb, name: names.add(name) if verb == "get" else None
    restored(watching, keys, folder)
    backups(watching, keys, VOLUME)
    return names | {name for name in store.objects if name.startswith("slots/")}


def ends(stored: Stored) -> dict[str, datetime]:
    return {name: stored.store.locked[name] for name in needed(stored.store, stored.keys, stored.folder)}


def test_all_that_a_backup_needs_is_locked_for_the_days_it_is_promised(stored: Stored) -> None:
    add_slot(stored.store.view(), stored.keys, "recovery", new_recovery_key())
    for number in range(100):
        if number % 3:
            stored.write(number % 50)
        stored.back_up()
        assert min(ends(stored).values()) >= stored.store.clock + 30 * DAY
        stored.store.pass_time(DAY)


def test_locks_are_extended_once_in_half_of_their_days_and_cost_nothing_in_between(stored: Stored) -> None:
    assert "extend" in stored.back_up()  # what the repository was made of was not locked yet
    costs = []
    for _ in range(60):
        stored.store.pass_time(DAY)
        costs.append(stored.back_up())
    assert [index for index, asked in enumerate(costs) if "extend" in asked] == [15, 31, 47]
    assert all(len(asked) == 3 for asked in costs if "extend" not in asked)


def test_a_lock_that_is_asked_for_later_covers_what_was_there_before(stored: Stored) -> None:
    stored.store.lock = None
    stored.back_up()
    assert stored.store.locked == {}
    stored.store.lock = LOCK
    stored.back_up()
    assert min(ends(stored).values()) >= stored.store.clock + 30 * DAY


def test_packs_of_an_interrupted_run_are_locked_for_as_long_as_the_others(tmp_path: Path) -> None:
    store, keys = repository()
    store.lock = LOCK
    image = Image(tmp_path / "image", 800 * CHUNK)
    image.write(0, os.urandom(700 * CHUNK))
    view = store.view()
    view.fail_requests(2, "put")
    with pytest.raises(Exception, match="away"):
        image.back_up(view, keys)
    left = {name for name in store.objects if "/p/" in name}
    assert left
    store.pass_time(20 * DAY)
    image.back_up(store, keys)
    assert left & needed(store, keys, tmp_path)
    assert min(store.locked[name] for name in needed(store, keys, tmp_path)) >= store.clock + 30 * DAY


def test_pruning_keeps_what_is_locked_says_so_and_deletes_it_later(stored: Stored) -> None:
    stored.back_up()
    stored.write(0, 40)
    stored.back_up()
    stored.prune()
    deleted, locked = stored.prune()
    assert (deleted, locked > 40 * CHUNK) == (0, True)
    content = stored.image.content
    for _ in range(3):
        stored.write(50)
        stored.back_up()
        assert stored.prune()[1] >= locked
    assert verify(stored.store, stored.keys, VOLUME, NOW, "full").bad == ()
    stored.store.pass_time(46 * DAY)
    assert stored.prune()[0] >= locked
    assert stored.prune() == (0, 0)
    assert restored(stored.store, stored.keys, stored.folder)[: 50 * CHUNK] == content[: 50 * CHUNK]


def test_what_pruning_wrote_anew_is_locked_as_long_as_what_it_stands_for(stored: Stored) -> None:
    stored.back_up()
    stored.write(0, 35)
    stored.back_up()
    for _ in range(80):
        stored.prune()
        stored.store.pass_time(DAY)
        stored.back_up()
        assert min(ends(stored).values()) >= stored.store.clock + 30 * DAY
    assert any("/p/999999999999-" in name for name in needed(stored.store, stored.keys, stored.folder))
