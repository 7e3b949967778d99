"""Which backups a restore takes, and what volumes from backups are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stampede.backup.views import BackupView, free_key, picked
from stampede.errors import BackupError, UnknownName

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def view(volume: str, backup: int, hours: int, stack: str = "shop") -> BackupView:
    return BackupView(
        name=f"{stack}/{volume}",
        stack=stack,
        volume=volume,
        backup=backup,
        store="offsite",
        host="h1",
        origin="home",
        created=NOON + timedelta(hours=hours),
        size_bytes=1,
        data_bytes=1,
        changed_bytes=1,
        uploaded_bytes=1,
    )


KNOWN = [view("db", 1, 0), view("db", 2, 2), view("files", 1, 0), view("files", 3, 3), view("db", 9, 9, "blog")]


def numbers(found: tuple[BackupView, ...]) -> dict[str, int]:
    return {one.volume: one.backup for one in found}


def test_the_newest_of_each_volume_is_taken() -> None:
    assert numbers(picked(KNOWN, "shop", None, None, None)) == {"db": 2, "files": 3}
    assert numbers(picked(KNOWN, "shop", ["db"], None, None)) == {"db": 2}


def test_a_moment_takes_the_newest_from_before_it() -> None:
    assert numbers(picked(KNOWN, "shop", None, None, NOON + timedelta(hours=2))) == {"db": 2, "files": 1}
    with pytest.raises(UnknownName, match="shop has no backup from before"):
        picked(KNOWN, "shop", None, None, NOON - timedelta(hours=1))


def test_a_number_takes_that_one() -> None:
    assert numbers(picked(KNOWN, "shop", ["db"], 1, None)) == {"db": 1}
    with pytest.raises(UnknownName, match="shop/db has no backup 3"):
        picked(KNOWN, "shop", ["db"], 3, None)


def test_what_has_no_backup_is_named() -> None:
    with pytest.raises(BackupError, match="no backup of shop/cache"):
        picked(KNOWN, "shop", ["cache"], None, None)
    with pytest.raises(UnknownName, match="shop/cache"):
        picked(KNOWN, "shop", ["db", "cache"], None, None)


def test_a_volume_from_a_backup_is_called_as_it_was_unless_another_one_is() -> None:
    assert free_key("db", 3, []) == "db"
    assert free_key("db", 3, ["db"]) == "db-restored-3"
    assert free_key("db", 3, ["db", "db-restored-3"]) == "db-restored-3-2"
