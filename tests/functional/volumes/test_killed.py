"""Killed before every side effect in turn, each verb of the pool comes to the same end when it is called again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stampede.blocks.volumes import ImagePool, ext4
from stampede.places import Places
from stampede.volumes.room import MIB
from tests.lab.killing import killed_at
from tests.lab.pools import SETTINGS, clean_up, running_pool, wanted

pytestmark = pytest.mark.functional

FEWEST = 5  # a verb with fewer side effects than this was not watched


class Steps:
    """Counts through the side effects of a verb: `for step in steps` until one came to its end unkilled."""

    def __init__(self, places: Places, kind: str) -> None:
        self.places, self.kind = places, kind
        self._number = 0
        self._more = True

    def __iter__(self) -> Iterator[int]:
        while self._more:
            self._number += 1
            yield self._number
        assert self._number > FEWEST

    @property
    def pool(self) -> ImagePool:
        """As a process that has just started has it."""
        return ImagePool(self.places, "h1", SETTINGS[self.kind])

    def kill(self, work: str, *, settled: bool = True) -> None:
        """Kills the process that does `work`, a line of Python about `pool`; then a worker starts, if `settled`."""
        pool = self.pool
        self._more = killed_at(
            self._number,
            lambda: eval(work, {"pool": pool, "wanted": wanted, "MIB": MIB, "receive": receive, "drop": drop}),
        )
        if settled:
            self.pool.bring_back()


@pytest.fixture(params=["xfs", "plain"])
def steps(request: pytest.FixtureRequest, places: Places) -> Iterator[Steps]:
    with running_pool(places, request.param):
        yield Steps(places, request.param)


def read(pool: ImagePool, volume: str = "shop_a") -> str:
    return (pool.mount(volume) / "file").read_text()


def write(pool: ImagePool, content: str, volume: str = "shop_a") -> None:
    (pool.mount(volume) / "file").write_text(content)


def leftovers(places: Places) -> list[Path]:
    """What lies in the pool and is no part of a volume or snapshot that can be seen."""
    volumes = [*places.pool.glob("volumes/*"), *places.pool.glob("volumes/*/snapshots/*")]
    known = {"image", "volume.json", "snapshot.json", "snapshots"}
    inside = [path for volume in volumes for path in volume.iterdir() if path.name not in known]
    strays = [path for path in inside if path.parent.name != "snapshots" or path.name.startswith(".")]
    return [*strays, *places.pool.glob("making/*"), *places.pool.glob("leaving/*"), *places.pool.glob("arriving/*")]


def test_making_the_pool(steps: Steps) -> None:
    for _ in steps:
        steps.kill("pool.ensure_pool()")
        assert steps.pool.ensure_pool().volumes == 0
        assert sorted(path.name for path in steps.places.state.iterdir() if "pool" in path.name) in (
            ["pool", "pool.img", "pool.lock"],
            ["pool", "pool.lock"],
        )
        clean_up(steps.places)
        for path in ("making", "leaving", "volumes", "arriving"):
            if (steps.places.pool / path).exists():
                (steps.places.pool / path).rmdir()
        steps.places.pool_file.unlink(missing_ok=True)
        steps.places.pool.rmdir()


def test_making_a_volume(steps: Steps) -> None:
    steps.pool.ensure_pool()
    for _ in steps:
        steps.kill("pool.ensure_volume(wanted('shop_a'))")
        assert all(one.mounted and not one.trouble for one in steps.pool.volumes())
        found = steps.pool.ensure_volume(wanted("shop_a"))
        assert (found.mounted, found.size_bytes, list(Path(found.data).iterdir())) == (True, 32 * MIB, [])
        assert leftovers(steps.places) == []
        steps.pool.remove_volume("shop_a")


def test_snapshots_of_two_volumes_are_there_both_or_not_at_all(steps: Steps) -> None:
    for name in ("shop_a", "shop_b"):
        steps.pool.ensure_volume(wanted(name))
        write(steps.pool, "kept", name)
    for step in steps:
        name = f"20261126T192200.{step:03d}Z"
        steps.kill(f"pool.snapshot(['shop_a', 'shop_b'], named='{name}')")
        assert steps.pool.snapshots("shop_a") == tuple(
            one.model_copy(update={"volume": "shop_a", "extents": there.extents})
            for one, there in zip(steps.pool.snapshots("shop_b"), steps.pool.snapshots("shop_a"), strict=True)
        )
        assert [one.id for one in steps.pool.snapshot(["shop_a", "shop_b"], named=name)] == [name, name]
        assert leftovers(steps.places) == []
        write(steps.pool, "kept", "shop_b")
        for volume in ("shop_a", "shop_b"):
            assert steps.pool.remove_snapshot(volume, name)


def test_a_run_that_is_killed_and_resumed_takes_one_snapshot_of_its_volumes(steps: Steps) -> None:
    names = ("shop_a", "shop_b")
    for name in names:
        steps.pool.ensure_volume(wanted(name))
    for step in steps:
        work = f"snapshot({names}, run='run/{step}')"
        steps.kill(f"pool.{work}", settled=False)
        made = steps.pool.snapshot(names, run=f"run/{step}")
        assert [steps.pool.snapshots(name) for name in names] == [(one,) for one in made]
        assert leftovers(steps.places) == []
        for name in names:
            steps.pool.remove_snapshot(name, made[0].id)


def test_removing_a_snapshot(steps: Steps) -> None:
    steps.pool.ensure_volume(wanted("shop_a"))
    for step in steps:
        name = f"20261126T192200.{step:03d}Z"
        steps.pool.snapshot(["shop_a"], named=name)
        steps.kill(f"pool.remove_snapshot('shop_a', '{name}')")
        steps.pool.remove_snapshot("shop_a", name)
        assert (steps.pool.snapshots("shop_a"), leftovers(steps.places)) == ((), [])


def test_restoring(steps: Steps) -> None:
    steps.pool.ensure_volume(wanted("shop_a"))
    write(steps.pool, "good")
    good = steps.pool.snapshot(["shop_a"], named="20261126T192200.000Z")[0].id
    steps.pool.resize("shop_a", 64 * MIB)  # so that the restore has to grow what it brings back
    for step in steps:
        write(steps.pool, "bad")
        safety = f"20261126T192300.{step:03d}Z"
        work = f"restore('shop_a', '{good}', safety='{safety}')"
        steps.kill(f"pool.{work}")
        assert read(steps.pool) in ("good", "bad")
        assert steps.pool.restore("shop_a", good, safety=safety).id == safety
        assert read(steps.pool) == "good"
        assert [one.id for one in steps.pool.snapshots("shop_a")] == [good, safety]
        assert leftovers(steps.places) == []
        steps.pool.restore("shop_a", safety, safety="20261126T192400.000Z")
        assert read(steps.pool) == "bad"  # the safety snapshot has what was replaced, not what was brought back
        for name in (safety, "20261126T192400.000Z"):
            steps.pool.remove_snapshot("shop_a", name)


def test_cloning(steps: Steps) -> None:
    steps.pool.ensure_volume(wanted("shop_a"))
    write(steps.pool, "shared")
    taken = steps.pool.snapshot(["shop_a"])[0].id
    for _ in steps:
        steps.kill(f"pool.clone('shop_a', '{taken}', wanted('copy', mib=48))")
        found = steps.pool.clone("shop_a", taken, wanted("copy", mib=48))
        assert (found.size_bytes, found.trouble, read(steps.pool, "copy")) == (48 * MIB, "", "shared")
        assert leftovers(steps.places) == []
        steps.pool.remove_volume("copy")


def test_compacting(steps: Steps) -> None:
    steps.pool.ensure_volume(wanted("shop_a"))
    write(steps.pool, "kept")
    for _ in steps:
        steps.kill("pool.compact('shop_a')")
        assert steps.pool.compact("shop_a").trouble == ""
        assert (read(steps.pool), leftovers(steps.places)) == ("kept", [])


def test_receiving(steps: Steps) -> None:
    steps.pool.ensure_pool()
    for _ in steps:
        steps.kill("receive(pool)")
        assert [one.trouble for one in steps.pool.volumes()] in ([], [""])
        if not steps.pool.volumes():
            receive(steps.pool)
        assert [(one.name, one.mounted) for one in steps.pool.volumes()] == [("came", True)]
        assert leftovers(steps.places) == []
        steps.pool.remove_volume("came")


def receive(pool: ImagePool) -> None:
    with pool.receive(wanted("came")) as image:
        ext4.make(image, 32 * MIB)


def test_beginning_and_dropping_an_arrival(steps: Steps) -> None:
    steps.pool.ensure_pool()
    for _ in steps:
        steps.kill("drop(pool)")
        folder = steps.pool.begin_arrival(wanted("came"), "there")
        assert sorted(path.name for path in folder.iterdir()) == ["arrival.json", "image", "served", "volume.json"]
        steps.pool.drop_arrival("came")
        assert (steps.pool.volumes(), leftovers(steps.places)) == ((), [])


def drop(pool: ImagePool) -> None:
    pool.begin_arrival(wanted("came"), "there")
    pool.drop_arrival("came")


def test_finishing_an_arrival(steps: Steps) -> None:
    steps.pool.ensure_pool()
    for _ in steps:
        folder = steps.pool.begin_arrival(wanted("came", mib=48), "there")
        ext4.make(folder / "image", 32 * MIB)
        (folder / "image.complete").touch()
        steps.kill("pool.finish_arrival('came')")
        found = steps.pool.finish_arrival("came")
        assert (found.mounted, found.trouble, found.size_bytes) == (True, "", 48 * MIB)
        assert leftovers(steps.places) == []
        steps.pool.remove_volume("came")


def test_resizing(steps: Steps) -> None:
    for _ in steps:
        steps.pool.ensure_volume(wanted("shop_a"))
        write(steps.pool, "kept")
        steps.kill("pool.resize('shop_a', 64 * MIB)")
        assert read(steps.pool) == "kept"
        assert steps.pool.resize("shop_a", 64 * MIB).size_bytes == 64 * MIB
        inside = steps.pool.mount("shop_a")
        (inside / "big").write_bytes(bytes(40 * MIB))  # more than it had before
        assert leftovers(steps.places) == []
        steps.pool.remove_volume("shop_a")


def test_removing_a_volume(steps: Steps) -> None:
    for _ in steps:
        steps.pool.ensure_volume(wanted("shop_a"))
        steps.kill("pool.remove_volume('shop_a')")
        steps.pool.remove_volume("shop_a")
        assert (steps.pool.volumes(), leftovers(steps.places)) == ((), [])
        assert not (steps.places.volumes / "shop_a").exists()
