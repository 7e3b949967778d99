"""Backups of the same data by several contenders, step by step and in turns, each turn in another order."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.backups import engine, restic
from benchmarks.backups.engine import Engine
from benchmarks.backups.restic import Restic
from benchmarks.backups.server import Server, Traffic
from benchmarks.backups.site import Fill, Site, forget_what_was_read
from benchmarks.measure import say
from benchmarks.processes import run
from benchmarks.usage import Usage
from stampede.blocks.object_store import S3Address

ON_DISK = "restic, own disk"
FIRST, UNCHANGED, VERIFY, RESTORE = "first backup", "unchanged", "verify all", "restore"


@dataclass(frozen=True)
class Sample:
    """What one step of one contender cost. `traffic` is that of its bucket; None if it has none."""

    usage: Usage
    traffic: Traffic | None

    def __str__(self) -> str:
        used = self.usage
        said = f"{used.seconds:.2f} s, {used.cpu_s:.2f} s of processor, {used.memory_mib:.0f} MiB"
        if self.traffic is None:
            return said
        put, got = self.traffic.put_bytes / 1e6, self.traffic.got_bytes / 1e6
        server = f"{self.traffic.server_cpu_s:.2f} s of the server's"
        return f"{said}, {self.traffic.requests} requests, {put:.1f} MB put, {got:.1f} MB got, {server}"


Samples = dict[str, dict[str, list[Sample]]]
"""By step and contender, one for each round."""


class _Contender(Protocol):
    address: S3Address | None

    def back_up(self) -> Usage: ...

    def verify(self) -> Usage: ...

    def restore(self) -> Usage: ...


@dataclass
class _Ours:
    """Backs up a snapshot of the image, and knows the one before it, as a host does."""

    site: Site
    address: S3Address | None
    made: Engine
    taken: list[Path] = field(default_factory=list)

    def back_up(self) -> Usage:
        base = self.taken[-1] if self.taken else None
        self.taken.append(self.site.snapshot(len(self.taken) + 1))
        return self.made.back_up(self.taken[-1], base, len(self.taken) - 1)

    def verify(self) -> Usage:
        return self.made.verify()

    def restore(self) -> Usage:
        target = self.site.pool / "restored"
        used = self.made.restore(target)
        run(["cmp", target, self.taken[-1]])
        target.unlink()
        return used


@dataclass
class _Theirs:
    """Backs up the directory."""

    site: Site
    address: S3Address | None
    made: Restic

    def back_up(self) -> Usage:
        return self.made.back_up(self.site.directory)

    def verify(self) -> Usage:
        return self.made.verify()

    def restore(self) -> Usage:
        target = self.site.folder / "restored"
        used = self.made.restore(target)
        run(["diff", "-rq", self.site.directory, target / self.site.directory.relative_to("/")])
        shutil.rmtree(target)
        return used


def take_steps(
    site: Site, server: Server, *, secure: bool, rounds: int, changes: Mapping[str, Fill], on_disk: bool
) -> Samples:
    """In each round new repositories get a first backup, one more after each change and one when nothing has changed,
    and are verified and restored.
    """
    samples: Samples = {}
    for turn in range(rounds):
        contenders = _contenders(site, server, turn, secure=secure, on_disk=on_disk)
        order = list(contenders) if turn % 2 == 0 else list(reversed(contenders))
        for number, step in enumerate((FIRST, *changes, UNCHANGED, VERIFY, RESTORE)):
            if step in changes:
                site.change(100 * (turn + 1) + number, changes[step])
            for name in order:
                sample = _sample(server, contenders[name], step)
                samples.setdefault(step, {}).setdefault(name, []).append(sample)
                say(f"    round {turn + 1}: {step}: {name}: {sample}")
        site.forget_snapshots()
        for folder in site.folder.glob("restic-*"):
            shutil.rmtree(folder)
    return samples


def _contenders(site: Site, server: Server, turn: int, *, secure: bool, on_disk: bool) -> dict[str, _Contender]:
    ours, theirs = server.new_bucket(secure), server.new_bucket(secure)
    found: dict[str, _Contender] = {
        engine.NAME: _Ours(site, ours, Engine.create(ours)),
        restic.NAME: _Theirs(site, theirs, Restic.create(site.folder / f"restic-{turn}", theirs)),
    }
    if on_disk:
        found[ON_DISK] = _Theirs(site, None, Restic.create(site.folder / f"restic-disk-{turn}"))
    return found


def _sample(server: Server, contender: _Contender, step: str) -> Sample:
    forget_what_was_read()
    acts = {VERIFY: contender.verify, RESTORE: contender.restore}
    bucket = contender.address.bucket if contender.address else ""
    before = server.traffic(bucket)
    used = acts.get(step, contender.back_up)()
    return Sample(used, server.traffic(bucket).since(before) if bucket else None)
