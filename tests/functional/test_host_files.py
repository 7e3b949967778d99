"""Configs and secrets on their host, in memory and sealed (mounting needs root)."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stampede.blocks.host_files import place_file, refill, remove_files
from stampede.errors import StampedeError
from stampede.places import Places
from stampede.planning.instances import MountedFile
from stampede.programs import run

pytestmark = pytest.mark.functional

SECRET = MountedFile(kind="secret", source="pw", digest="d1", target="/run/secrets/pw", uid=1000, gid=1001, mode=0o440)
SCRIPT = MountedFile(kind="config", source="init", digest="d2", target="/init", mode=0o555)


def file_system(path: Path) -> str:
    return run(["stat", "-f", "-c", "%T", path]).out.strip()


def test_a_placed_file_is_in_memory_with_owner_and_mode(places: Places) -> None:
    for _ in range(2):
        place_file(places, "shop", SECRET, "hunter2\n")
    placed = places.files / "shop" / SECRET.host_name
    assert placed.read_text() == "hunter2\n"
    said = placed.stat()
    assert (said.st_uid, said.st_gid, stat.S_IMODE(said.st_mode)) == (1000, 1001, 0o440)
    assert file_system(places.files) == "tmpfs"
    assert [path.name for path in placed.parent.iterdir()] == [SECRET.host_name]


def test_no_disk_holds_it_in_the_clear(places: Places) -> None:
    place_file(places, "shop", SECRET, "hunter2\n")
    for path in places.state.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.suffix == ".lock"


def test_a_boot_refills_what_was_in_memory(places: Places) -> None:
    place_file(places, "shop", SECRET, "hunter2\n")
    place_file(places, "blog", SCRIPT, "#!/bin/sh\n")
    run(["umount", places.files])
    assert not any(places.files.iterdir())
    assert refill(places) == 2
    assert refill(places) == 2
    restored = places.files / "shop" / SECRET.host_name
    assert restored.read_text() == "hunter2\n"
    assert (restored.stat().st_uid, stat.S_IMODE(restored.stat().st_mode)) == (1000, 0o440)
    assert (places.files / "blog" / SCRIPT.host_name).read_text() == "#!/bin/sh\n"


def test_a_damaged_copy_is_named_and_the_others_are_restored(places: Places) -> None:
    place_file(places, "shop", SECRET, "hunter2\n")
    place_file(places, "shop", SCRIPT, "#!/bin/sh\n")
    run(["umount", places.files])
    (places.host / "files" / "shop" / SECRET.host_name).write_bytes(b"broken")
    with pytest.raises(StampedeError, match=SECRET.host_name):
        refill(places)
    assert (places.files / "shop" / SCRIPT.host_name).exists()


def test_removing_leaves_what_is_kept_and_other_stacks(places: Places) -> None:
    place_file(places, "shop", SECRET, "hunter2\n")
    place_file(places, "shop", SCRIPT, "#!/bin/sh\n")
    place_file(places, "blog", SECRET, "other\n")
    remove_files(places, "shop", keep={SCRIPT.host_name})
    assert [path.name for path in (places.files / "shop").iterdir()] == [SCRIPT.host_name]
    for _ in range(2):
        remove_files(places, "shop")
    assert not (places.files / "shop").exists()
    assert not (places.host / "files" / "shop").exists()
    assert (places.files / "blog" / SECRET.host_name).exists()


def test_nothing_to_refill_mounts_nothing(places: Places) -> None:
    assert refill(places) == 0
    assert not places.files.exists()
