"""Snapshots and clones of managed volumes of 1 and 10 GiB, with data in all of them."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.backups.content import MIB, Content
from benchmarks.lab import Lab
from benchmarks.measure import Contender, say, take_turns
from benchmarks.results import Result, Target
from stampede.blocks.volumes import ImagePool
from stampede.places import Places
from stampede.volumes.models import PoolSettings, Snapshot, WantedVolume
from tests.lab.pools import clean_up

SIZES_GIB = (1, 10)
LIMIT_MS = 10.0
INCLUDES = """\
Volumes in an XFS pool, filled to nine tenths, mounted, and each with a writer's last block still in the page cache. \
*snapshot* is the verb of the pool, with the record of the snapshot on the disk; *writers wait* is for how long they \
cannot write meanwhile; *clone* ends when the new volume is mounted; *restore* when the volume has the content of its \
snapshot and is mounted again, with what it had before kept as a snapshot."""


def run(lab: Lab, rounds: int) -> Result:
    places = Places(lab.folder / "pool", lab.folder / "pool-run")
    places.state.mkdir(parents=True)
    sizes = [max(1, lab.size(1024 * gib)) for gib in SIZES_GIB]
    settings = PoolSettings(driver="xfs", size_bytes=(4 * sum(sizes) + 4096) * MIB)
    try:
        pool = ImagePool(places, "bench", settings)
        return _result([_of_one(pool, f"v{size}", size, max(rounds, 5)) for size in sizes], sizes)
    finally:
        clean_up(places)


def _of_one(pool: ImagePool, name: str, mib: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds by verb."""
    pool.ensure_volume(WantedVolume(name=name, stack="bench", size_bytes=mib * MIB))
    file = pool.mount(name) / "content"
    say(f"  filling {mib} MiB")
    piece = Content().of(64 * MIB)
    with file.open("wb") as target:
        for _ in range(mib * 9 // 10 // 64):
            target.write(piece)
        os.fsync(target.fileno())
    taken: list[Snapshot] = []

    def write() -> None:
        with file.open("r+b") as target:
            target.write(os.urandom(4096))

    def snapshot() -> None:
        taken.extend(pool.snapshot([name]))

    def clone() -> None:
        pool.clone(name, taken[-1].id, WantedVolume(name=f"{name}-clone", stack="bench", size_bytes=mib * MIB))

    def restore() -> None:
        pool.unmount(name)
        pool.restore(name, taken[-1].id)
        pool.mount(name)

    verbs: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("snapshot", snapshot, lambda: None),
        ("clone", clone, partial(pool.remove_volume, f"{name}-clone")),
        ("restore", restore, lambda: None),
    ]
    contenders = [Contender(verb, act=act, before=write, after=after) for verb, act, after in verbs]
    seconds = take_turns(contenders, rounds)
    stalls = {"writers wait": [one.stall_s * 1000 for one in taken]}
    return {verb: [second * 1000 for second in each] for verb, each in seconds.items()} | stalls


def _result(found: list[dict[str, list[float]]], sizes: list[int]) -> Result:
    rows = tuple((verb, *(_spread(one[verb]) for one in found)) for verb in found[0])
    targets = [
        Target(f"writers wait, {size / 1024:g} GiB", statistics.median(one["writers wait"]), LIMIT_MS, "ms")
        for size, one in zip(sizes, found, strict=True)
    ]
    heads = ("median (from … to)", *(f"{size / 1024:g} GiB" for size in sizes))
    samples = {f"{verb}, {size} MiB": one[verb] for size, one in zip(sizes, found, strict=True) for verb in one}
    return Result("Snapshots, clones and restores on one host", INCLUDES, heads, rows, tuple(targets), samples)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} … {max(values):.1f}) ms"
