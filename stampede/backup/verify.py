"""Verifying: what is stored against what was written, down to the bytes of a pack and the backups that need them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Literal

from stampede.backup.fetching import Fetcher, Wanted, Wish, wish
from stampede.backup.log import Commit, Harm, Log, Snapshot, State, needed_sizes
from stampede.backup.names import checkpoint_name, commit_name, pack_object, volume_folder
from stampede.backup.packs import MANIFEST_KIND, TABLE_KIND
from stampede.backup.reader import SIDE_BY_SIDE, decoded, portions, wanted_chunk
from stampede.backup.repository import Keys
from stampede.backup.store import ObjectStore
from stampede.backup.tables import CHUNK, CHUNKS, SEGMENT, Frame, Manifest, Table, decoded_manifest
from stampede.errors import Damaged
from stampede.extents import Range
from stampede.frozen import Frozen

_TABLES = 32  # in memory at once

Level = Literal["quick", "sample", "full"]
Progress = Callable[[int, int], None]


class BadObject(Frozen):
    """Bytes `start` to `end` of an object that are not what was written there.

    `blocks` are the ranges of the volume that lie there, in the backups `backups`, which cannot be restored whole.
    """

    object: str
    start: int
    end: int
    what: str
    blocks: tuple[Range, ...]
    backups: tuple[int, ...]


class VerifyReport(Frozen):
    """What was verified. `checked_bytes` are bytes of content whose hash was found right."""

    volume: str
    level: Level
    backups: tuple[int, ...]
    checked_bytes: int
    requests: int
    bad: tuple[BadObject, ...]

    @property
    def damaged_backups(self) -> tuple[int, ...]:
        return tuple(sorted({backup for one in self.bad for backup in one.backups}))


def verify(
    store: ObjectStore,
    keys: Keys,
    volume: str,
    now: datetime,
    level: Level = "quick",
    *,
    fraction: float = 0.02,
    dice: random.Random | None = None,
    progress: Progress = lambda done, of: None,
    cancelled: threading.Event | None = None,
) -> VerifyReport:
    """What of all kept backups of the volume is damaged.

    quick: every object is there at its full length, logs and manifests can be read. sample: also a part of the volume,
    `fraction` of its segments, at least one, by hash. full: all of it. What is found is put into the log, so that the
    next backup sends it again as far as the volume still has it. Raises: NewerFormat, StoreUnavailable, Cancelled,
    Damaged if there is no log that can be read at all.
    """
    requests = store.counts.requests
    check = _Check(store, keys, volume, progress, cancelled)
    check.manifests()
    check.lengths()
    if level != "quick":
        numbers = check.segments()
        if level == "sample" and numbers:
            some = max(1, round(len(numbers) * fraction))
            numbers = sorted((dice or random.Random()).sample(numbers, some))
        check.content(numbers)
    check.record(now, forget=level == "full")
    return VerifyReport(
        volume=volume,
        level=level,
        backups=tuple(sorted(check.snapshots)),
        checked_bytes=check.checked_bytes,
        requests=store.counts.requests - requests,
        bad=check.bad,
    )


class _Finding:
    """What is known of one damaged place."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.blocks: set[Range] = set()
        self.backups: set[int] = set()


class _Check:
    """One verification of one volume."""

    def __init__(
        self, store: ObjectStore, keys: Keys, volume: str, progress: Progress, cancelled: threading.Event | None
    ) -> None:
        self._store, self._keys = store, keys.volume(volume_folder(volume))
        self._log, self._progress = Log(store, self._keys), progress
        self._lock = threading.Lock()
        self._findings: dict[tuple[str, int, int], _Finding] = {}
        self._harmed_frames: set[tuple[str, int]] = set()
        self._harmed_packs: set[str] = set()
        self.checked_bytes = 0
        self._lost: set[int] = set()
        self._head = self._log.head()
        self._state: State = self._log.state(self._head)
        for seq in self._state.lost | self._log.broken.keys():
            self._find_commit(seq, self._log.broken.get(seq))
        if self._log.broken_checkpoint is not None:
            name = checkpoint_name(self._keys.folder, self._head.checkpoint)
            self._find(name, 0, 0, self._log.broken_checkpoint.message)
        state = self._state
        self.snapshots: dict[int, Snapshot] = state.snapshots
        self._fetcher = Fetcher(store, self._keys, self._log.sweep(state.sweep_at).moved, cancelled)
        self._manifests: dict[int, Manifest] = {}

    @property
    def bad(self) -> tuple[BadObject, ...]:
        return tuple(
            BadObject(
                object=name,
                start=start,
                end=end,
                what=finding.what,
                blocks=tuple(_joined(finding.blocks)),
                backups=tuple(sorted(finding.backups)),
            )
            for (name, start, end), finding in sorted(self._findings.items())
        )

    def manifests(self) -> None:
        """Every kept backup has a commit and a manifest that can be read."""
        read: dict[Frame, Manifest | Damaged] = {}
        for seq, snapshot in sorted(self.snapshots.items()):
            try:
                self._log.read(seq)
            except Damaged as damage:
                self._find_commit(seq, damage)
            frame = snapshot.manifest
            if frame is None:
                continue
            if frame not in read:
                try:
                    read[frame] = decoded_manifest(self._fetcher.one(frame, MANIFEST_KIND))
                except Damaged as damage:
                    read[frame] = damage
            manifest = read[frame]
            if isinstance(manifest, Damaged):
                self._find_frame(frame, manifest.message, [Range(0, snapshot.size)], [seq])
            else:
                self._manifests[seq] = manifest

    def lengths(self) -> None:
        """Every pack that a kept backup needs is there, as long as it was."""
        listed = {found.name: found.size for found in self._store.list(f"{self._keys.folder}/p/")}
        moved = self._fetcher.moved
        for seq, manifest in self._manifests.items():
            for pack, size in needed_sizes(manifest.sizes.items(), self.snapshots[seq]).items():
                if pack in moved:
                    for target in {frame.pack for frame in moved[pack].values()}:
                        if pack_object(self._keys.folder, target) not in listed:
                            self._find_pack(target, 0, "it is missing", seq, self._using(seq, pack))
                            self._harmed_packs.add(pack)
                    continue
                there = listed.get(pack_object(self._keys.folder, pack))
                if there != size:
                    what = "it is missing" if there is None else f"it has {there} bytes instead of {size}"
                    self._find_pack(pack, size, what, seq, self._using(seq, pack))

    def segments(self) -> list[int]:
        return sorted({number for manifest in self._manifests.values() for number in manifest.segments})

    def content(self, numbers: list[int]) -> None:
        """Every chunk of these segments has the content that was backed up, in every kept backup."""
        self._fetcher.stream(self._wishes(numbers))

    def record(self, now: datetime, *, forget: bool) -> None:
        """Afterwards the log says what is damaged; what it said before is forgotten if everything was looked at."""
        before = self._log.harm(self._state.harm_at)
        frames, packs = frozenset(self._harmed_frames), frozenset(self._harmed_packs)
        if not forget:
            frames, packs = frames | before.frames, packs | before.packs
        harm = Harm(frames=frames, packs=packs, commits=frozenset(self._lost))
        if harm == before:
            return

        def write(following: Commit) -> Commit:
            return following.model_copy(update={"kind": "damage", "harm": harm, "written": now})

        self._log.publish(self._head, write, lambda other: None)

    def _wishes(self, numbers: list[int]) -> Iterator[Wish]:
        for at in range(0, len(numbers), SIDE_BY_SIDE):
            owners = self._owners(numbers[at : at + SIDE_BY_SIDE])
            for portion in portions(owners):
                yield wish(self._fetcher.keys, portion, self._note_right, partial(self._note_harmed, owners))
            self._progress(min(at + SIDE_BY_SIDE, len(numbers)) * SEGMENT, len(numbers) * SEGMENT)

    def _owners(self, numbers: list[int]) -> dict[Wanted, set[int]]:
        """The chunks of these segments as any kept backup has them, each with those backups."""
        backups: dict[Frame, set[int]] = {}
        segments: dict[Frame, int] = {}
        for seq, manifest in self._manifests.items():
            for number in numbers:
                if number in manifest.segments:
                    frame = manifest.segments[number].table
                    backups.setdefault(frame, set()).add(seq)
                    segments[frame] = number
        frames, owners = list(backups), dict[Wanted, set[int]]()
        for at in range(0, len(frames), _TABLES):
            some = {frame: f"{TABLE_KIND} {segments[frame]}" for frame in frames[at : at + _TABLES]}
            for frame, content in self._fetcher.all(some).items():
                self._own(segments[frame], frame, decoded(content), backups[frame], owners)
        return owners

    def _own(
        self, number: int, frame: Frame, table: Table | Damaged, backups: set[int], owners: dict[Wanted, set[int]]
    ) -> None:
        if isinstance(table, Damaged):
            self._find_frame(frame, table.message, [Range(number * SEGMENT, (number + 1) * SEGMENT)], backups)
            return
        for chunk in table.entries:
            owners.setdefault(wanted_chunk(table, number * CHUNKS, chunk), set()).update(backups)

    def _note_right(self, one: Wanted, chunk: memoryview) -> None:
        with self._lock:
            self.checked_bytes += len(chunk)

    def _note_harmed(self, owners: dict[Wanted, set[int]], one: Wanted, frame: Frame, damage: Damaged) -> None:
        block = Range(one.chunk * CHUNK, (one.chunk + 1) * CHUNK)
        self._find_frame(frame, damage.message, [block], owners[one])

    def _using(self, seq: int, pack: str) -> list[Range]:
        """The segments of a backup that may need a pack."""
        size = self.snapshots[seq].size
        return [
            Range(number * SEGMENT, min((number + 1) * SEGMENT, size))
            for number, one in self._manifests[seq].segments.items()
            if pack == one.table.pack or pack in one.packs
        ]

    def _find_commit(self, seq: int, damage: Damaged | None) -> None:
        self._lost.add(seq)
        what = damage.message if damage else "it could not be read when a checkpoint was made"
        self._find(commit_name(self._keys.folder, seq), 0, 0, what, backups=[seq])

    def _find_pack(self, pack: str, size: int, what: str, seq: int, blocks: list[Range]) -> None:
        self._harmed_packs.add(pack)
        self._find(pack_object(self._keys.folder, pack), 0, size, what, blocks, [seq])

    def _find_frame(self, frame: Frame, what: str, blocks: Iterable[Range], backups: Iterable[int]) -> None:
        now = self._fetcher.resolve(frame)
        name = pack_object(self._keys.folder, now.pack)
        with self._lock:
            self._harmed_frames.add((frame.pack, frame.offset))
            self._find(name, now.offset, now.offset + now.length, what, blocks, backups)

    def _find(
        self,
        name: str,
        start: int,
        end: int,
        what: str,
        blocks: Iterable[Range] = (),
        backups: Iterable[int] = (),
    ) -> None:
        finding = self._findings.setdefault((name, start, end), _Finding(what))
        finding.blocks.update(blocks)
        finding.backups.update(backups)


def _joined(ranges: Iterable[Range]) -> Iterator[Range]:
    held: Range | None = None
    for one in sorted(ranges):
        if held is not None and one.start <= held.end:
            held = Range(held.start, max(held.end, one.end))
            continue
        if held is not None:
            yield held
        held = one
    if held is not None:
        yield held
