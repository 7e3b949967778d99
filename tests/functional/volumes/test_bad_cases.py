"""Damaged, cut off, foreign and missing things: what the pool says of them, and that it leaves them alone."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stampede.blocks.volumes import ImagePool, loops, mounts
from stampede.errors import BadInput, DaemonError, Foreign, Refused
from stampede.places import Places
from stampede.programs import ProgramMissing, run
from stampede.volumes.models import FoundManagedVolume, PoolSettings
from stampede.volumes.room import GIB, MIB
from tests.lab.pools import SETTINGS, clean_up, running_pool, wanted

pytestmark = pytest.mark.functional


@pytest.fixture
def pool(places: Places) -> Iterator[ImagePool]:
    with running_pool(places) as pool:
        yield pool


@pytest.fixture
def image(pool: ImagePool, places: Places) -> Path:
    """Of the volume shop_a, which holds a file and is mounted."""
    found = pool.ensure_volume(wanted("shop_a"))
    (Path(found.data) / "file").write_text("kept")
    return places.pool / "volumes/shop_a/image"


def found(pool: ImagePool, volume: str = "shop_a") -> FoundManagedVolume:
    return next(one for one in pool.volumes() if one.name == volume)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def overwrite(image: Path, at: int, content: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(at)
        file.write(content)


def cut_power(pool: ImagePool, image: Path) -> None:
    """Afterwards the volume is unmounted, and its image is what it was while it was mounted and written to."""
    taken = pool.snapshot(["shop_a"])[0]
    pool.unmount("shop_a")
    run(["cp", "--reflink=always", pool.snapshot_image("shop_a", taken.id), image])


def test_an_image_cut_off_by_a_power_cut_is_mended_and_mounted(pool: ImagePool, image: Path) -> None:
    cut_power(pool, image)
    assert b"needs_recovery" in run(["dumpe2fs", "-h", image]).out.encode()
    assert pool.bring_back()[0].mounted
    assert (Path(found(pool).data) / "file").read_text() == "kept"


@pytest.mark.parametrize("what", ["superblock", "everything"])
def test_a_file_system_that_cannot_be_mended_is_left_alone_and_named(pool: ImagePool, image: Path, what: str) -> None:
    pool.ensure_volume(wanted("shop_b"))
    pool.unmount("shop_a")
    pool.unmount("shop_b")
    overwrite(image, 1024, os.urandom(1024) if what == "superblock" else os.urandom(32 * MIB - 1024))
    before = digest(image)
    for _ in range(2):
        damaged, other = pool.bring_back()
        assert (damaged.mounted, other.mounted) == (False, True)
        assert "damaged" in damaged.trouble
        assert digest(image) == before
    with pytest.raises(DaemonError, match="is damaged"):
        pool.mount("shop_a")
    assert sorted(path.name for path in image.parent.iterdir()) == ["image", "volume.json"]


def test_a_damaged_volume_goes_back_to_a_snapshot(pool: ImagePool, image: Path) -> None:
    good = pool.snapshot(["shop_a"])[0]
    pool.unmount("shop_a")
    overwrite(image, 0, os.urandom(32 * MIB))
    damaged = digest(image)
    safety = pool.restore("shop_a", good.id)
    assert (Path(found(pool).data) / "file").read_text() == "kept"
    assert digest(pool.snapshot_image("shop_a", safety.id)) == damaged


def test_an_image_that_was_cut_short_is_refused_and_left_alone(pool: ImagePool, image: Path) -> None:
    pool.unmount("shop_a")
    os.truncate(image, 20 * MIB)
    assert "cut off" in found(pool).trouble
    with pytest.raises(DaemonError, match="cut off"):
        pool.mount("shop_a")
    assert image.stat().st_size == 20 * MIB


def test_an_image_that_somebody_made_longer_is_used_and_can_be_grown_into(pool: ImagePool, image: Path) -> None:
    pool.unmount("shop_a")
    os.truncate(image, 64 * MIB)
    data = pool.mount("shop_a")
    assert (data / "file").read_text() == "kept"
    assert pool.resize("shop_a", 64 * MIB).size_bytes == 64 * MIB
    assert os.statvfs(data).f_blocks * os.statvfs(data).f_frsize > 48 * MIB


def test_an_image_that_is_gone_is_said_and_does_not_hide_the_others(pool: ImagePool, image: Path) -> None:
    pool.ensure_volume(wanted("shop_b"))
    pool.unmount("shop_a")
    image.unlink()
    assert [(one.name, one.mounted, one.trouble) for one in pool.bring_back()] == [
        ("shop_a", False, "volume shop_a is not mounted: its image is gone (restore a snapshot or a backup)"),
        ("shop_b", True, ""),
    ]


def test_an_image_that_another_program_has_attached_is_not_mounted_twice(pool: ImagePool, image: Path) -> None:
    pool.unmount("shop_a")
    device = run(["losetup", "--find", "--show", image]).out.strip()
    try:
        with pytest.raises(Refused, match=f"attached to {device}"):
            pool.mount("shop_a")
    finally:
        run(["losetup", "--detach", device])
    pool.mount("shop_a")


def test_no_free_loop_device_is_said_and_leaves_nothing(
    pool: ImagePool, image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pool.unmount("shop_a")
    monkeypatch.setattr(loops, "_CONTROL", tmp_path / "loop-control")
    with pytest.raises(DaemonError, match="no loop device is free"):
        pool.mount("shop_a")
    assert loops.device_of(image) is None
    monkeypatch.undo()
    assert pool.mount("shop_a").is_dir()


def test_what_is_not_ours_in_the_pool_stays(pool: ImagePool, places: Places) -> None:
    pool.ensure_volume(wanted("shop_a"))
    foreign = [places.pool / "volumes/theirs/image", places.pool / "volumes/notes", places.pool / "else/x"]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("theirs")
    for name in ("theirs", "notes"):
        with pytest.raises(Foreign):
            pool.ensure_volume(wanted(name))
        with pytest.raises(Foreign):
            pool.remove_volume(name)
    pool.bring_back()
    assert [one.name for one in pool.volumes()] == ["shop_a"]
    assert [path.read_text() for path in foreign] == ["theirs"] * 3


def test_a_directory_with_files_of_others_does_not_become_a_pool(pool: ImagePool, places: Places) -> None:
    places.pool.mkdir()
    (places.pool / "theirs").write_text("theirs")
    with pytest.raises(Foreign):
        pool.ensure_pool()
    assert not places.pool_file.exists()


def test_a_pool_file_that_is_none_is_never_made_anew(pool: ImagePool, places: Places) -> None:
    places.pool_file.write_bytes(b"theirs" * 20000)
    with pytest.raises(Foreign, match="neither XFS nor btrfs"):
        pool.ensure_pool()
    assert places.pool_file.read_bytes() == b"theirs" * 20000


def test_a_mount_of_something_else_is_not_taken_for_the_volume(pool: ImagePool, places: Places, image: Path) -> None:
    pool.unmount("shop_a")
    run(["mount", "-t", "tmpfs", "stampede-test", places.volumes / "shop_a"])
    with pytest.raises(Foreign, match="is mounted on"):
        pool.mount("shop_a")
    assert "is mounted on" in found(pool).trouble
    run(["umount", places.volumes / "shop_a"])


def test_nothing_can_be_written_where_a_mount_is_missing(pool: ImagePool, image: Path, places: Places) -> None:
    pool.unmount("shop_a")
    with pytest.raises(PermissionError):
        (places.volumes / "shop_a/data").mkdir()


def test_a_pool_whose_mount_was_lost_is_mounted_again(pool: ImagePool, image: Path, places: Places) -> None:
    clean_up(places)  # as after a reboot
    assert not (places.pool / "volumes").exists()
    assert [(one.name, one.mounted) for one in pool.bring_back()] == [("shop_a", True)]
    assert (Path(found(pool).data) / "file").read_text() == "kept"


def test_a_pool_larger_than_its_disk_is_refused_and_leaves_nothing(places: Places) -> None:
    with pytest.raises(BadInput, match="does not fit"):
        ImagePool(places, "h1", PoolSettings(size_bytes=1 << 60)).ensure_pool()
    assert sorted(path.name for path in places.state.iterdir()) == ["pool", "pool.lock"]


def test_an_overcommitted_pool_promises_more_than_it_has(places: Places) -> None:
    with running_pool(places):
        pool = ImagePool(places, "h1", PoolSettings(driver="xfs", size_bytes=400 * MIB, overcommit=3))
        for name in ("shop_a", "shop_b"):
            pool.ensure_volume(wanted(name, mib=400))
        with pytest.raises(Refused):
            pool.ensure_volume(wanted("shop_c", mib=400))


def test_a_pool_that_could_not_be_made_does_not_keep_the_disk(
    places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match=r"mkfs\.xfs"):
        ImagePool(places, "h1", SETTINGS["xfs"]).ensure_pool()
    assert sorted(path.name for path in places.state.iterdir()) == ["pool", "pool.lock"]


def test_a_file_system_that_became_read_only_is_said(pool: ImagePool, image: Path, places: Places) -> None:
    run(["mount", "-o", "remount,ro", places.volumes / "shop_a"])
    assert "can only be read" in found(pool).trouble
    pool.unmount("shop_a")
    pool.mount("shop_a")
    assert found(pool).trouble == ""


def test_a_new_volume_is_open_to_users_of_containers_whatever_the_umask(pool: ImagePool) -> None:
    before = os.umask(0o077)
    try:
        data = Path(pool.ensure_volume(wanted("shop_a")).data)
    finally:
        os.umask(before)
    assert [oct(path.stat().st_mode & 0o777) for path in (data, data.parent)] == ["0o755", "0o755"]


def test_the_size_of_a_volume_is_a_limit(pool: ImagePool, image: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (Path(found(pool).data) / "big").write_bytes(bytes(40 * MIB))


def test_trimming_gives_the_room_of_deleted_files_back(pool: ImagePool, image: Path) -> None:
    data = Path(found(pool).data)
    (data / "big").write_bytes(os.urandom(16 * MIB))
    mounts.sync(data)
    full = found(pool).used_bytes
    (data / "big").unlink()
    mounts.sync(data)
    assert pool.trim("shop_a") > 0
    assert found(pool).used_bytes < full - 15 * MIB


def test_a_scattered_image_is_not_snapshot_beyond_the_budget(pool: ImagePool, image: Path) -> None:
    extents = pool.snapshot(["shop_a"])[0].extents
    assert extents > 0
    with pytest.raises(Refused, match="would stop its writers"):
        pool.snapshot(["shop_a"], budget_s=17e-6 * (extents - 1) / 2)
    assert len(pool.snapshots("shop_a")) == 1


def test_compacting_makes_the_extents_of_a_scattered_image_few_again(pool: ImagePool, image: Path) -> None:
    with (Path(found(pool).data) / "big").open("wb") as file:
        file.write(os.urandom(16 * MIB))
        os.fsync(file.fileno())
        pool.snapshot(["shop_a"])
        for at in range(0, 16 * MIB, 32768):
            os.pwrite(file.fileno(), os.urandom(4096), at)
        os.fsync(file.fileno())
    scattered = pool.snapshot(["shop_a"])[0].extents
    pool.compact("shop_a")
    assert scattered > 1000
    assert pool.snapshot(["shop_a"])[0].extents < 100


def test_a_pool_without_room_for_it_does_not_compact(pool: ImagePool, image: Path, places: Places) -> None:
    size = os.statvfs(places.pool).f_blocks * 4096
    filler = places.pool / "filler"
    with filler.open("wb") as file:
        used = (os.statvfs(places.pool).f_blocks - os.statvfs(places.pool).f_bavail) * 4096
        os.posix_fallocate(file.fileno(), 0, int(size * 0.845) - used)
    with pytest.raises(Refused, match="no room to compact"):
        pool.compact("shop_a")
    filler.unlink()
    assert found(pool).mounted


def test_several_volumes_are_snapshot_at_one_point_in_time(pool: ImagePool) -> None:
    """One writer appends n to a, then to b: at any one moment b is not ahead of a, and at most one behind."""
    names = ("shop_a", "shop_b")
    logs = [Path(pool.ensure_volume(wanted(name)).data) / "log" for name in names]
    stop = threading.Event()

    def append() -> None:
        with logs[0].open("w") as first, logs[1].open("w") as second:
            for number in range(100_000):
                for log in (first, second):
                    log.write(f"{number}\n")
                    log.flush()
                    os.fdatasync(log.fileno())
                if stop.is_set():
                    return

    writer = threading.Thread(target=append)
    writer.start()
    try:
        ids = [pool.snapshot(names)[0].id for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    lengths = []
    for number, snapshot in enumerate(ids):
        counts = []
        for name in names:
            copy = pool.clone(name, snapshot, wanted(f"{name}.{number}"))
            lines = (Path(copy.data) / "log").read_text().split()
            assert lines == [str(one) for one in range(len(lines))]
            counts.append(len(lines))
            pool.remove_volume(copy.name)
        assert counts[0] - counts[1] in (0, 1)
        lengths.append(counts[0])
    assert lengths == sorted(lengths)
    assert lengths[-1] > 0


def test_a_host_has_half_of_its_free_disk_as_pool(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(places.state)
    free = 1 * GIB
    pretend = os.statvfs_result((*real[:1], 4096, real[2], free // 4096, free // 4096, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: pretend)
    with running_pool(places):
        pool = ImagePool(places, "h1", PoolSettings(driver="xfs"))
        try:
            pool.ensure_pool()
            assert places.pool_file.stat().st_size == 512 * MIB
            assert places.pool_file.stat().st_blocks * 512 >= 512 * MIB  # set aside, not only promised
        finally:
            monkeypatch.undo()
