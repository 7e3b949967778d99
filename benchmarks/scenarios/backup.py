"""Backups beside restic: the same data, the same S3 server, whole processes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.backups import engine, restic
from benchmarks.backups.content import BLOCK, MIB, Content
from benchmarks.backups.paired import FIRST, ON_DISK, RESTORE, UNCHANGED, VERIFY, Sample, Samples, take_steps
from benchmarks.backups.site import new_site
from benchmarks.lab import Lab
from benchmarks.measure import ratio
from benchmarks.results import Result, Target

FILES, FILE_BYTES = 10_000, 50 << 10
MANY, MANY_BYTES = 100_000, 2_500
DATABASE_MIB, LARGE_MIB = 512, 64
SCATTERED, LARGE, SOME = "1 % scattered", "one big file", "1 % of the files"
HEADS = ("", "stampede", "restic", "restic takes", "processor", "less", "the server's", "moved", "requests", "memory")
INCLUDES = """\
{data}. Half of the data does not compress, half is like text. *stampede* backs up an image of the volume in an XFS \
pool, with the snapshot before it at hand, and restores with fsync; *restic* {version} (Debian {suite}) backs up the \
same files as a directory of this machine. Both are whole processes, Stampede's start of Python included, on one \
SeaweedFS by {scheme}, which works on the same cores (*the server's* processor); the page cache is emptied before each \
step. Every round has new repositories and the other order. Seconds are those of all rounds, memory is the most of \
them, everything else medians; *restic takes* and *less* (processor) are medians of the ratios of the rounds. *moved* \
is what was put, or got where that is more. {more}"""


def over_https(lab: Lab, rounds: int) -> Result:
    limits = {FIRST: 2.5}
    return _mixed(lab, rounds, secure=True, limits=limits)


def over_http(lab: Lab, rounds: int) -> Result:
    limits = {FIRST: 4.0, SCATTERED: 10.0, RESTORE: 2.0, VERIFY: 4.0}
    return _mixed(lab, rounds, secure=False, limits=limits)


def of_many_files(lab: Lab, rounds: int) -> Result:
    """One round in three: 100,000 files take their time to be made and removed."""
    number = lab.size(MANY)

    def fill(content: Content, folder: Path) -> None:
        content.files(folder, number, MANY_BYTES)

    def change(content: Content, folder: Path) -> None:
        for at in content.dice.sample(range(number), number // 100):
            (folder / f"{at // 100:04}" / f"{at:06}").write_bytes(content.of(MANY_BYTES))

    with new_site(lab.folder / "many-files", 4 * 1024) as site:
        site.create(2048, fill)  # ext4 has an inode for each 16 KiB
        samples = take_steps(
            site, lab.object_server, secure=True, rounds=-(-rounds // 3), changes={SOME: change}, on_disk=False
        )
    data = f"{number} files of {MANY_BYTES} bytes on average; a hundredth of them is written anew"
    return _result("Backup of many small files, by https", data, "https", samples, {}, "")


def _mixed(lab: Lab, rounds: int, *, secure: bool, limits: dict[str, float]) -> Result:
    files, database = lab.size(FILES), lab.size(DATABASE_MIB)

    def fill(content: Content, folder: Path) -> None:
        content.files(folder / "files", files, FILE_BYTES)
        content.large(folder / "database", database * MIB)

    def scatter(content: Content, folder: Path) -> None:
        content.scatter(folder / "database", database * 2 * MIB // BLOCK // 100)

    def add(content: Content, folder: Path) -> None:
        content.large(folder / "large", LARGE_MIB * MIB)

    changes = {SCATTERED: scatter, LARGE: add}
    scheme = "https" if secure else "http"
    with new_site(lab.folder / f"backup-{scheme}", lab.size(5 * 1024) + 1024) as site:
        site.create(lab.size(1280) + 256, fill)
        samples = take_steps(site, lab.object_server, secure=secure, rounds=rounds, changes=changes, on_disk=not secure)
    data = (
        f"{files} files of {FILE_BYTES >> 10} KiB on average and a database of {database} MiB; of that blocks of 4 KiB "
        f"are overwritten that come to 1 % of the volume, then a file of {LARGE_MIB} MiB is added, then nothing"
    )
    more = _on_disk(samples) if not secure else ""
    return _result(f"Backup of 1 GiB, by {scheme}", data, scheme, samples, limits, more)


def _on_disk(samples: Samples) -> str:
    """What restic takes into a directory of this machine, where no server shares the processors with it."""
    parts = [f"{step} {_rounds(found[ON_DISK])}" for step, found in samples.items()]
    return f"restic into a repository on this machine's own disk, without a server: {'; '.join(parts)}."


def _result(title: str, data: str, scheme: str, samples: Samples, limits: dict[str, float], more: str) -> Result:
    rows = tuple(_row(step, found[engine.NAME], found[restic.NAME]) for step, found in samples.items())
    targets = [
        Target(f"{step}, restic / stampede", _times(found, _seconds), limits[step], "×", at_least=True)
        for step, found in samples.items()
        if step in limits
    ]
    single = {f"{step}: {name}": _seconds(side) for step, found in samples.items() for name, side in found.items()}
    told = {"data": data, "version": restic.VERSION, "suite": restic.SUITE, "scheme": scheme, "more": more}
    return Result(title, INCLUDES.format(**told).strip(), HEADS, rows, (*targets, *_of_work(samples)), single)


def _row(step: str, ours: list[Sample], theirs: list[Sample]) -> tuple[str, ...]:
    found = {engine.NAME: ours, restic.NAME: theirs}
    cpu, server, asked = (
        " / ".join(f"{_middle(figures(side)):.{digits}f}" for side in (ours, theirs))
        for figures, digits in ((_cpu_s, 2), (_server_cpu_s, 1), (_requests, 0))
    )
    moved = " / ".join(f"{_middle(_moved(side)) / 1e6:.1f}" for side in (ours, theirs))
    memory = " / ".join(f"{max(one.usage.memory_mib for one in side):.0f}" for side in (ours, theirs))
    walls = (_rounds(ours), _rounds(theirs), f"{_times(found, _seconds):.1f} ×")
    return (
        step,
        *walls,
        f"{cpu} s",
        f"{_times(found, _cpu_s):.1f} ×",
        f"{server} s",
        f"{moved} MB",
        asked,
        f"{memory} MiB",
    )


def _of_work(samples: Samples) -> list[Target]:
    """Targets for what is moved and used, whatever the seconds."""
    ours = {step: found[engine.NAME] for step, found in samples.items()}
    memory = max(one.usage.memory_mib for those in ours.values() for one in those)
    targets = [
        Target(f"{FIRST}, processor, restic / stampede", _times(samples[FIRST], _cpu_s), 5.0, "×", at_least=True),
        Target("memory", memory, 200.0, "MiB"),
        Target(f"{UNCHANGED}, requests", _middle(_requests(ours[UNCHANGED])), 3, "requests"),
    ]
    if SCATTERED in samples:
        changed = [engine.answer_of(one.usage) for one in ours[SCATTERED]]
        uploaded = statistics.median(one["uploaded_bytes"] / one["changed_bytes"] for one in changed)
        fewer = _times(samples[SCATTERED], _moved)
        targets.append(Target(f"{SCATTERED}, bytes put, restic / stampede", fewer, 30.0, "×", at_least=True))
        targets.append(Target(f"{SCATTERED}, bytes put / bytes changed", uploaded, 1.2, "×"))
    return targets


def _times(found: Mapping[str, list[Sample]], figures: Callable[[list[Sample]], list[float]]) -> float:
    """How many times as much restic takes."""
    return ratio(figures(found[restic.NAME]), figures(found[engine.NAME]))


def _seconds(side: list[Sample]) -> list[float]:
    return [one.usage.seconds for one in side]


def _cpu_s(side: list[Sample]) -> list[float]:
    return [one.usage.cpu_s for one in side]


def _server_cpu_s(side: list[Sample]) -> list[float]:
    return [one.traffic.server_cpu_s for one in side if one.traffic]


def _requests(side: list[Sample]) -> list[float]:
    return [one.traffic.requests for one in side if one.traffic]


def _moved(side: list[Sample]) -> list[float]:
    """Bytes that were put, or got where that is more."""
    return [max(one.traffic.put_bytes, one.traffic.got_bytes) for one in side if one.traffic]


def _middle(figures: list[float]) -> float:
    return statistics.median(figures)


def _rounds(side: list[Sample]) -> str:
    return " ".join(f"{one:.2f}" for one in _seconds(side)) + " s"
