"""What runs before Docker at boot: volumes are mounted, thawed, and one that cannot be is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stampede.places import Places
from stampede.programs import run
from tests.lab.pools import clean_up, running_pool, wanted

pytestmark = pytest.mark.functional
BOOT = [sys.executable, "-m", "stampede.deployments.boot"]


def test_a_boot_mounts_all_volumes_and_says_which_it_cannot(places: Places) -> None:
    with running_pool(places) as pool:
        for name in ("shop_a", "shop_b"):
            (Path(pool.ensure_volume(wanted(name)).data) / "file").write_text(name)
        clean_up(places)
        assert "2 volumes are mounted" in run(BOOT).err
        assert [(Path(one.data) / "file").read_text() for one in pool.volumes()] == ["shop_a", "shop_b"]
        assert "2 volumes are mounted" in run(BOOT).err
        pool.unmount("shop_a")
        (places.pool / "volumes/shop_a/image").write_bytes(bytes(1 << 20))
        said = run(BOOT).err
        assert "the file system of volume shop_a is damaged" in said
        assert "1 volumes are mounted" in said
        assert "configs and secrets are in place" in said


def test_a_boot_of_a_host_without_volumes_makes_no_pool(places: Places) -> None:
    assert "0 volumes are mounted" in run(BOOT).err
    assert list(places.state.iterdir()) == []


def test_a_pool_file_that_cannot_be_read_keeps_nothing_else_from_being_put_back(places: Places) -> None:
    places.pool_file.write_bytes(bytes(1 << 20))
    with running_pool(places):
        said = run(BOOT).err
    assert "the volumes of this host are not mounted" in said
    assert "configs and secrets are in place" in said
