"""Backing up: an image becomes the next commit of its volume's log. What changed is sent, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from stampede.backup.adoption import Adoption
from stampede.backup.base import find_base
from stampede.backup.fetching import Fetcher
from stampede.backup.immutability import Locks
from stampede.backup.log import Commit, Log, Snapshot
from stampede.backup.names import volume_folder
from stampede.backup.packs import MANIFEST_KIND, TABLE_KIND, PackWriter
from stampede.backup.repository import Keys
from stampede.backup.scope import Look, changed_parts, one_segment, whole_image
from stampede.backup.segments import SegmentWriter, Tally
from stampede.backup.store import ObjectStore
from stampede.backup.tables import (
    SEGMENT,
    Frame,
    Manifest,
    Segment,
    Table,
    decoded_manifest,
    decoded_table,
    packs_of,
)
from stampede.errors import Cancelled, Damaged, Overtaken
from stampede.extents import Range
from stampede.frozen import Frozen

_TRIES = 4
_AT_ONCE = 128  # segments whose tables are in memory together
_WORKERS = 2

Progress = Callable[[int, int], None]
"""Called with bytes of the image that were looked at, and how many there are to look at."""


class BackupReport(Frozen):
    """What a backup came to. `requests` are those of this backup, retries included."""

    volume: str
    backup: int
    parent: int
    logical_bytes: int
    data_bytes: int
    changed_bytes: int
    read_bytes: int
    uploaded_bytes: int
    requests: int
    duration_s: float


@dataclass(frozen=True)
class Source:
    """The image of a volume: a snapshot, which nobody writes to. `data` is what of it is no hole.

    `changed` is where it may differ from the image of backup `base`, which has `base_size` bytes; None if unknown. An
    image of another size than that backup is not its image, and nothing is concluded from it.
    """

    image: int
    size: int
    data: list[Range]
    changed: list[Range] | None = None
    base: int = 0
    base_size: int = 0


@dataclass(frozen=True)
class About:
    """What is kept with a backup: when the image was as it is, whose it is, and how to bring the app back (JSON)."""

    created: datetime
    origin: str = ""
    host: str = ""
    spec: str = "{}"


class _Lost(Exception):
    """What this backup relied on was given up by others meanwhile: it has to begin again."""


def backup(
    store: ObjectStore,
    keys: Keys,
    volume: str,
    source: Source,
    about: About,
    *,
    progress: Progress = lambda done, of: None,
    cancelled: threading.Event | None = None,
) -> BackupReport:
    """Afterwards the volume has one more backup, complete; or, if this raises or dies, what was sent is used next time.

    Raises: Foreign if another cluster backs up a volume of this name here, Overtaken, Cancelled, StoreUnavailable,
    StoreRefused, Damaged (the log itself), NewerFormat.
    """
    folder, began, requests = volume_folder(volume), time.monotonic(), store.counts.requests
    lost: _Lost | None = None
    for _ in range(_TRIES):
        try:
            run = _Run(store, keys, folder, source, about, progress, cancelled or threading.Event())
            commit = run.publish()
        except _Lost as error:
            lost = error
            continue
        assert commit.snapshot is not None
        return BackupReport(
            volume=volume,
            backup=commit.seq,
            parent=commit.snapshot.parent,
            logical_bytes=commit.snapshot.size,
            data_bytes=commit.snapshot.data_bytes,
            changed_bytes=commit.snapshot.changed_bytes,
            read_bytes=run.tally.read_bytes,
            uploaded_bytes=commit.snapshot.uploaded_bytes,
            requests=store.counts.requests - requests,
            duration_s=time.monotonic() - began,
        )
    raise Overtaken(f"{volume} could not be backed up in {_TRIES} tries: {lost}", "try again later") from lost


class _Run:
    """One try. What it set out from holds until it publishes, or it is `_Lost`."""

    def __init__(
        self,
        store: ObjectStore,
        keys: Keys,
        folder: str,
        source: Source,
        about: About,
        progress: Progress,
        cancelled: threading.Event,
    ) -> None:
        self._keys, self._store = keys.volume(folder), store
        self._log = Log(store, self._keys)
        self._source, self._about, self._progress, self._cancelled = source, about, progress, cancelled
        self.tally = Tally()
        self._fresh: set[str] = set()
        self._head = self._log.head()
        wanted = source.base if source.changed is not None else 0
        self._base = find_base(self._log, self._head, wanted, about.origin)
        self._locks = Locks(store, folder, self._base.snapshot)
        self._fetcher = Fetcher(store, self._keys, self._base.sweep.moved, cancelled)
        self._packs = PackWriter(store, self._keys, self._base.seq)
        avoided = self._base.sweep.condemned.keys() | set(self._base.sweep.dead) | self._base.sweep.moved.keys()
        avoided |= self._base.harm.packs | {pack for pack, _ in self._base.harm.frames}
        self._adoption = Adoption(store, self._keys, self._base.seq, lambda: avoided, self._packs.run)
        self._segments = SegmentWriter(
            source.image, source.size, self._keys, self._packs, self._adoption, self._base.harm, self._stop_if_cancelled
        )

    def publish(self) -> Commit:
        """Afterwards the backup is in the log."""
        try:
            manifest, frame = self._send()
        except BaseException:
            self._packs.abandon()
            raise
        try:
            self._packs.close()
        except Damaged as damage:  # by now it may have been pruned as a left-over
            raise _Lost(damage.message) from damage
        self._stop_if_cancelled()
        sizes = manifest.sizes | self._packs.sizes
        adopted = self._adoption.sizes.keys() & sizes.keys()
        inherited = sizes.keys() - self._packs.sizes.keys()
        locked_until = self._locks.extend(self._head, inherited, adopted, self._base.sweep.moved)
        snapshot = Snapshot(
            created=self._about.created,
            size=self._source.size,
            data_bytes=(self._base.snapshot.data_bytes if self._base.readable and self._base.snapshot else 0)
            + self.tally.data_bytes,
            parent=self._base.seq,
            manifest=frame,
            manifest_pack_size=sizes[frame.pack] if frame else 0,
            changed_bytes=self.tally.changed_bytes,
            uploaded_bytes=sum(self._packs.sizes.values()),
            locked_until=locked_until,
            origin=self._about.origin,
            host=self._about.host,
            spec=self._about.spec,
        )

        def write(following: Commit) -> Commit:
            changes = {"kind": "snapshot", "newest": following.seq, "snapshot": snapshot, "written": snapshot.created}
            return following.model_copy(update=changes)

        return self._log.publish(self._head, write, self._check)

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled("the backup was cancelled; what was sent is used by the next one")

    def _send(self) -> tuple[Manifest, Frame | None]:
        """Afterwards all that differs is on its way, the manifest last."""
        if self._is_unchanged() and not self._locks.is_due:
            assert self._base.snapshot is not None
            frame = self._base.snapshot.manifest
            return Manifest({}, {frame.pack: self._base.snapshot.manifest_pack_size} if frame else {}), frame
        self._read_manifest()
        segments = dict(self._base.manifest.segments)
        looks = self._looks()
        differs = False
        while batch := list(islice(looks, _AT_ONCE)):
            differs |= self._write_batch(batch, segments)
        behind = [number for number in segments if number * SEGMENT >= self._source.size]
        for number in behind:
            del segments[number]
        frame = self._base.snapshot.manifest if self._base.snapshot else None
        if not differs and not behind and self._base.readable:
            return self._base.manifest, frame
        sizes = self._base.manifest.sizes | self._adoption.sizes | self._packs.sizes
        used = {pack for one in segments.values() for pack in (one.table.pack, *one.packs)}
        manifest = Manifest(segments, {pack: sizes.get(pack, 0) for pack in used})
        return manifest, self._packs.add(manifest.encoded(), MANIFEST_KIND) if segments else None

    def _is_unchanged(self) -> bool:
        """Nothing has to be looked at: by its extents the image is that of the base, and nothing stored is damaged."""
        base = self._base
        return (
            self._knows_changes()
            and not self._source.changed
            and base.snapshot is not None
            and base.snapshot.size == self._source.size
            and not (base.harm.frames or base.harm.packs)
        )

    def _knows_changes(self) -> bool:
        source, base = self._source, self._base
        known = source.changed is not None and base.snapshot is not None and source.base == base.seq
        return known and base.snapshot is not None and source.base_size == base.snapshot.size

    def _read_manifest(self) -> None:
        snapshot = self._base.snapshot
        if snapshot is None or snapshot.manifest is None:
            return
        try:
            self._base.manifest = decoded_manifest(self._fetcher.one(snapshot.manifest, MANIFEST_KIND))
        except Damaged:  # then everything is sent again
            self._base.readable = False
        self._base.manifest.sizes[snapshot.manifest.pack] = snapshot.manifest_pack_size

    def _looks(self) -> Iterator[Look]:
        source, manifest = self._source, self._base.manifest
        if not self._knows_changes() or not self._base.readable:
            return whole_image(source.data, source.size, manifest.segments)
        assert source.changed is not None
        assert self._base.snapshot is not None
        harmed = self._base.harm.packs | {pack for pack, _ in self._base.harm.frames}
        distrusted = [at for at, one in manifest.segments.items() if harmed & {one.table.pack, *one.packs}]
        before = self._base.snapshot.size
        return changed_parts(source.changed, source.data, before=before, size=source.size, distrusted=distrusted)

    def _write_batch(self, looks: list[Look], segments: dict[int, Segment]) -> bool:
        """Afterwards `segments` has the new tables of these; True if one of them differs."""
        tables = self._tables([look.segment for look in looks], segments)

        def write(look: Look) -> tuple[Look, Table, bool]:
            table = tables.pop(look.segment, None)
            if table is None and look.segment in segments:
                look, table = one_segment(look.segment, self._source.data, self._source.size), Table()
                changed, tally = self._segments.write(look, table)
                changed = True
            else:
                table = table or Table()
                changed, tally = self._segments.write(look, table)
            self.tally.add(tally)
            self._progress((look.segment + 1) * SEGMENT, self._source.size)
            return look, table, changed

        differs = False
        with ThreadPoolExecutor(_WORKERS, "chunks") as threads:
            try:
                for look, table, changed in threads.map(write, looks):
                    if changed:
                        differs = True
                        self._keep(look.segment, table, segments)
            except BaseException:
                threads.shutdown(wait=True, cancel_futures=True)
                raise
        return differs

    def _keep(self, number: int, table: Table, segments: dict[int, Segment]) -> None:
        if not table.entries:
            segments.pop(number, None)
            return
        packs = packs_of(table.frames)
        frame = self._packs.add(table.encoded(), f"{TABLE_KIND} {number}")
        before = segments.get(number)
        self._fresh |= (packs | {frame.pack}) - (before.packs if before else frozenset())
        segments[number] = Segment(frame, packs)

    def _tables(self, numbers: Iterable[int], segments: dict[int, Segment]) -> dict[int, Table]:
        """What is stored of these segments; one that cannot be read is missing."""
        frames = {segments[number].table: number for number in numbers if number in segments}
        tables: dict[int, Table] = {}

        def arrived(frame: Frame, content: bytes | Damaged) -> None:
            if not isinstance(content, Damaged):
                tables[frames[frame]] = decoded_table(content)

        self._fetcher.many({frame: f"{TABLE_KIND} {number}" for frame, number in frames.items()}, arrived)
        return tables

    def _check(self, other: Commit) -> None:
        """Whether the backup still holds after a commit that was faster."""
        if self._base.seq in other.dropped:
            raise _Lost("the backup that it set out from was dropped meanwhile")
        if other.sweep is not None:
            given_up = other.sweep.condemned.keys() | set(other.sweep.dead) | other.sweep.moved.keys()
            if given_up & (self._fresh | self._packs.sizes.keys()):
                raise _Lost("what it had sent was taken for left-overs and given up meanwhile")
        self._head = other
