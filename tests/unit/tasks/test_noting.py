"""Metrics are told how backups and verifications went."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from stampede.errors import StoreUnavailable
from stampede.places import Places
from stampede.tasks import noting
from stampede.tasks.last_backups import LastBackup, read_backups
from stampede.tasks.noting import noted


@pytest.fixture
def here(places: Places, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(noting, "this_host", lambda: SimpleNamespace(places=places))
    return places


def latest(places: Places) -> LastBackup:
    (one,) = read_backups(places)
    return one


async def test_a_good_one_is_told_with_its_bytes(here: Places) -> None:
    async with noted("shop", "db", "backup") as note:
        note.stored_bytes, note.logical_bytes = 3, 9
    found = latest(here)
    assert (found.succeeded, found.stored_bytes, found.logical_bytes) == (True, 3, 9)


async def test_one_that_failed_leaves_when_one_was_last_good(here: Places) -> None:
    async with noted("shop", "db", "backup"):
        pass
    good = latest(here).last_good
    with pytest.raises(StoreUnavailable):
        async with noted("shop", "db", "backup"):
            raise StoreUnavailable("away")
    assert (latest(here).succeeded, latest(here).last_good) == (False, good)


async def test_a_verification_that_found_something_bad_is_no_good_one(here: Places) -> None:
    async with noted("shop", "db", "verify") as note:
        note.good = False
    assert latest(here).succeeded is False


async def test_one_that_was_cancelled_is_not_told(here: Places) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with noted("shop", "db", "backup"):
            raise asyncio.CancelledError
    assert read_backups(here) == ()
