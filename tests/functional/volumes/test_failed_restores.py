"""Restores that cannot be done: the volume stays what it was, and no other volume of the host notices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stampede.blocks.volumes import ImagePool
from stampede.errors import DaemonError, Refused
from stampede.places import Places
from stampede.programs import run
from stampede.volumes.room import MIB
from tests.lab.killing import killed_at
from tests.lab.pools import SETTINGS, running_pool, wanted

pytestmark = pytest.mark.functional

SAFETY = "20991126T192200.123Z"


@pytest.fixture(params=SETTINGS)
def pool(request: pytest.FixtureRequest, places: Places) -> Iterator[ImagePool]:
    with running_pool(places, request.param) as pool:
        yield pool


def damaged(pool: ImagePool) -> str:
    """The id of a snapshot of shop_a from before it grew, whose file system cannot be mended. The volume has "kept"."""
    for name in ("shop_a", "shop_b"):
        pool.ensure_volume(wanted(name))
    taken = pool.snapshot(["shop_a"])[0].id
    pool.resize("shop_a", 64 * MIB)
    (pool.mount("shop_a") / "file").write_text("kept")
    with pool.snapshot_image("shop_a", taken).open("r+b") as image:
        image.write(os.urandom(32 * MIB))
    return taken


def content(places: Places) -> list[str]:
    return sorted(path.name for path in (places.pool / "volumes/shop_a").iterdir())


def test_a_snapshot_that_cannot_be_mended_leaves_the_volume_as_it_was(pool: ImagePool, places: Places) -> None:
    bad = damaged(pool)
    for _ in range(2):  # the second one is not taken for done
        with pytest.raises(DaemonError, match="damaged"):
            pool.restore("shop_a", bad, safety=SAFETY)
        assert [one.id for one in pool.snapshots("shop_a")] == [bad]
        assert content(places) == ["image", "snapshots", "volume.json"]
        assert [(one.mounted, one.trouble) for one in pool.volumes()] == [(True, "")] * 2
        assert (pool.mount("shop_a") / "file").read_text() == "kept"
    assert pool.ensure_volume(wanted("shop_c")).mounted


@pytest.mark.parametrize("pool", ["xfs", "plain"], indirect=True)
def test_killed_anywhere_in_such_a_restore_the_host_comes_back_with_all_volumes(
    pool: ImagePool, places: Places
) -> None:
    bad = damaged(pool)

    def fail() -> None:
        with pytest.raises(DaemonError):
            pool.restore("shop_a", bad, safety=SAFETY)

    step = 1
    while killed_at(step, fail):
        assert [(one.mounted, one.trouble) for one in pool.bring_back()] == [(True, "")] * 2
        assert (pool.mount("shop_a") / "file").read_text() == "kept"
        assert [one.id for one in pool.snapshots("shop_a")] == [bad]
        assert content(places) == ["image", "snapshots", "volume.json"]
        step += 1
    assert step > 10


@pytest.mark.parametrize("pool", ["xfs"], indirect=True)
def test_a_restore_that_can_be_neither_finished_nor_undone_keeps_one_volume_from_its_users_only(
    pool: ImagePool, places: Places
) -> None:
    bad = damaged(pool)
    step = 1
    while killed_at(step, lambda: pool.restore("shop_a", bad)) and "restore.json" not in content(places):
        pool.bring_back()
        step += 1
    folder = places.pool / "volumes/shop_a"
    assert "restore.json" in content(places)
    run(["chattr", "+i", folder])
    try:
        assert [(one.name, one.mounted) for one in pool.bring_back()] == [("shop_a", False), ("shop_b", True)]
        with pytest.raises(DaemonError, match="neither finished nor undone"):
            pool.mount("shop_a")
        assert pool.snapshot(["shop_b"])
    finally:
        run(["chattr", "-i", folder])
    assert [one.trouble for one in pool.bring_back()] == ["", ""]
    assert (pool.mount("shop_a") / "file").read_text() == "kept"


@pytest.mark.parametrize("pool", ["xfs", "plain"], indirect=True)
def test_a_pool_without_room_for_it_does_not_restore(pool: ImagePool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(pool.ensure_volume(wanted("shop_a")).data)
    (data / "file").write_bytes(os.urandom(16 * MIB))
    taken = pool.snapshot(["shop_a"])[0].id
    copies = 0
    if pool.ensure_pool().driver == "plain":
        copies = pool.volumes()[0].used_bytes + pool.snapshot_image("shop_a", taken).stat().st_blocks * 512
    real, size = os.statvfs(data), 400 * MIB
    for more, refused in ((-MIB, True), (MIB, False)):
        free = (copies + size // 20 + more) // 4096
        pretend = os.statvfs_result((*real[:1], 4096, size // 4096, free, free, *real[5:]))
        monkeypatch.setattr(os, "statvfs", lambda path, said=pretend: said)
        if refused:
            with pytest.raises(Refused, match="too full to restore"):
                pool.restore("shop_a", taken)
            assert pool.volumes()[0].mounted
        else:
            pool.restore("shop_a", taken)
        monkeypatch.undo()
    assert len(pool.snapshots("shop_a")) == 2


def test_something_else_mounted_in_the_place_of_one_volume_keeps_no_other_from_being_brought_back(
    pool: ImagePool, places: Places
) -> None:
    for name in ("shop_a", "shop_b"):
        pool.ensure_volume(wanted(name))
        pool.unmount(name)
    run(["mount", "-t", "tmpfs", "stampede-test", places.volumes / "shop_a"])
    found = pool.bring_back()
    assert [("is mounted on" in one.trouble, one.mounted) for one in found] == [(True, False), (False, True)]
    run(["umount", places.volumes / "shop_a"])
