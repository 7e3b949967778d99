"""Pruning: backups that no rule keeps are dropped, and what nothing needs any more is deleted, later.

1. A commit drops the backups. 2. Packs that no kept backup needs are condemned; packs of which less than half is needed
are copied into new ones and condemned as well. 3. What has been condemned for a day is given up. Steps 2 and 3 are one
commit, which counts only if no other commit came between it and the backups it looked at. 4. What that commit gave up
is deleted.

A backup that is running meanwhile publishes after that commit and so has to read it: it begins again if something it
relies on was given up. The day is for those who still read a backup that was dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from stampede.backup.fetching import Fetcher
from stampede.backup.log import Commit, Log, Snapshot, State, Sweep
from stampede.backup.names import pack_object, volume_folder
from stampede.backup.packs import CHUNKS_KIND, MANIFEST_KIND, PATCHES_KIND, TABLE_KIND, PackWriter
from stampede.backup.reader import batches, decoded
from stampede.backup.repository import Keys
from stampede.backup.sealing import VolumeKeys
from stampede.backup.store import Found, ObjectStore
from stampede.backup.tables import Frame, Manifest, decoded_manifest
from stampede.errors import Damaged, Overtaken
from stampede.frozen import Frozen
from stampede.retention import Decision, Item, Retention, decide

GRACE = timedelta(hours=24)
_SPARSE = 0.5
_TRIES = 5
_NO_BASE = 10**12 - 1  # packs that pruning writes are none that a backup adopts


class PruneReport(Frozen):
    """What pruning did, or with `dry_run` would do: bytes as they are in the bucket.

    `locked_bytes` are in packs that nothing needs and that object lock keeps; a later pruning deletes them.
    """

    volume: str
    decisions: tuple[Decision, ...]
    dropped: tuple[int, ...]
    condemned_bytes: int
    rewritten_bytes: int
    deleted_bytes: int
    locked_bytes: int
    requests: int


class _Swept(NamedTuple):
    condemned_bytes: int
    rewritten_bytes: int
    deleted_bytes: int
    locked_bytes: int


class _Overtaken(Exception):
    """Another commit came between; everything is looked at again."""


def prune(
    store: ObjectStore,
    keys: Keys,
    volume: str,
    rule: Retention,
    *,
    pinned: Collection[int] = (),
    grace: timedelta = GRACE,
    dry_run: bool = False,
) -> PruneReport:
    """Afterwards the volume has the backups that `rule` keeps; what only others needed is deleted `grace` later.

    May be killed at any point and run again, beside backups and other prunings. `grace` should be longer than the
    longest backup: one that takes longer sends again what was taken for left-overs.

    Raises: Overtaken, Damaged if log or manifests of kept backups cannot be read (nothing is deleted then),
    StoreUnavailable, StoreRefused.
    """
    requests = store.counts.requests
    own = keys.volume(volume_folder(volume))
    log = Log(store, own)
    for _ in range(_TRIES):
        head = log.head()
        state = log.state(head)
        _require_whole(log, state)
        items = [Item(str(seq), one.created, seq in pinned) for seq, one in state.snapshots.items()]
        decisions = decide(items, rule)
        dropped = sorted(int(decision.item.id) for decision in decisions if not decision.keep)
        now = store.now()
        try:
            pruning = _Pruning(store, own, log, state, now, grace)
            known_waste = pruning.needed_by(dropped)
            if not dry_run and dropped:
                head = _drop(log, head, state, dropped, now)
                state = state.after(head)
            pruning = _Pruning(store, own, log, state.without(dropped), now, grace)
            swept = pruning.sweep(head, known_waste, dry_run=dry_run)
        except _Overtaken:
            continue
        return PruneReport(
            volume=volume,
            decisions=tuple(decisions),
            dropped=tuple(dropped),
            condemned_bytes=swept.condemned_bytes,
            rewritten_bytes=swept.rewritten_bytes,
            deleted_bytes=swept.deleted_bytes,
            locked_bytes=swept.locked_bytes,
            requests=store.counts.requests - requests,
        )
    raise Overtaken(f"backups of {volume} were changed by others again and again meanwhile", "try again later")


def _require_whole(log: Log, state: State) -> None:
    """Raises: Damaged while the log has commits that cannot be read, until verify has put that into the log.

    One may be a backup that comes back when the store does: what it needs looks like nobody's.
    """
    lost = (state.lost | log.broken.keys()) - log.harm(state.harm_at).commits
    if lost:
        numbers = ", ".join(str(seq) for seq in sorted(lost))
        hint = "stampede backup verify says why, and notes it: then they count as lost"
        raise Damaged(f"of the log commits cannot be read, so nothing is pruned: {numbers}", hint)


def _drop(log: Log, head: Commit, state: State, dropped: list[int], now: datetime) -> Commit:
    newest = state.without(dropped).newest

    def write(following: Commit) -> Commit:
        changes = {"kind": "drop", "newest": newest, "dropped": tuple(dropped), "written": now}
        return following.model_copy(update=changes)

    return log.publish(head, write, _give_way)


def _give_way(other: Commit) -> None:
    raise _Overtaken


class _Pruning:
    """What is needed and what is not, by the log up to one commit."""

    def __init__(
        self, store: ObjectStore, keys: VolumeKeys, log: Log, state: State, now: datetime, grace: timedelta
    ) -> None:
        self._store, self._keys, self._log, self._state = store, keys, log, state
        self._now, self._grace = now, grace
        self._before = log.sweep(state.sweep_at)
        self._fetcher = Fetcher(store, keys, self._before.moved)
        self._read: dict[Frame, Manifest] = {}

    def needed_by(self, seqs: Iterable[int]) -> set[str]:
        """The packs of these backups, as far as their manifests can be read."""
        packs: set[str] = set()
        for seq in seqs:
            try:
                packs |= self._packs_of(self._state.snapshots[seq])
            except Damaged:
                continue
        return packs

    def sweep(self, head: Commit, known_waste: set[str], *, dry_run: bool) -> _Swept:
        """Afterwards what nothing needs is condemned, and what was condemned for long enough is deleted."""
        listed = {one.name.rpartition("/")[2]: one for one in self._store.list(f"{self._keys.folder}/p/")}
        needed = {pack for one in self._state.snapshots.values() for pack in self._packs_of(one)}
        unneeded = {pack for pack in listed if pack not in needed}
        dead = {pack for pack in unneeded if self._is_over(pack)} | (unneeded & set(self._before.dead))
        old = {pack for pack in unneeded if listed[pack].written <= self._now - self._grace}
        waiting = (unneeded & (old | known_waste | self._before.condemned.keys())) - dead
        moved, emptied, rewritten = self._rewrite(
            listed, needed, wanted=bool(waiting or dead or known_waste) and not dry_run
        )
        condemned = {pack: self._before.condemned.get(pack, self._now) for pack in waiting | emptied}
        sweep = Sweep(condemned=condemned, dead=tuple(sorted(dead)), moved=moved)
        locked: set[str] = set()
        if not dry_run:
            if sweep != self._before:
                self._publish(head, sweep)
            left = self._store.delete([pack_object(self._keys.folder, pack) for pack in sorted(dead)])
            locked = {name.rpartition("/")[2] for name in left}
        fresh = condemned.keys() - self._before.condemned.keys()
        return _Swept(_bytes(listed, fresh), rewritten, _bytes(listed, dead - locked), _bytes(listed, locked))

    def _publish(self, head: Commit, sweep: Sweep) -> None:
        def write(following: Commit) -> Commit:
            return following.model_copy(update={"kind": "gc", "sweep": sweep, "written": self._now})

        self._log.publish(head, write, _give_way)

    def _is_over(self, pack: str) -> bool:
        return pack in self._before.condemned and self._before.condemned[pack] <= self._now - self._grace

    def _packs_of(self, snapshot: Snapshot) -> set[str]:
        """Where all that it needs lies now. Raises: Damaged."""
        if snapshot.manifest is None:
            return set()
        packs: set[str] = set()
        for pack in {*self._manifest(snapshot.manifest).sizes, snapshot.manifest.pack}:
            moved = self._before.moved.get(pack)
            packs |= {pack} if moved is None else {frame.pack for frame in moved.values()}
        return packs

    def _manifest(self, frame: Frame) -> Manifest:
        if frame not in self._read:
            self._read[frame] = decoded_manifest(self._fetcher.one(frame, MANIFEST_KIND))
        return self._read[frame]

    def _rewrite(
        self, listed: dict[str, Found], needed: set[str], *, wanted: bool
    ) -> tuple[dict[str, dict[int, Frame]], set[str], int]:
        """Where frames lie that were moved, then; which packs hold nothing needed any more; and bytes written."""
        named = {pack for frame in self._read for pack in (*self._read[frame].sizes, frame.pack)}
        moved = {pack: dict(frames) for pack, frames in self._before.moved.items() if pack in named}
        if not wanted:
            return moved, set(), 0
        try:
            frames = self._frames()
        except Damaged:  # then nobody knows what is needed of which pack, and all stay whole
            return moved, set(), 0
        live: dict[str, int] = {}
        for now in {self._fetcher.resolve(frame) for frame in frames}:
            live[now.pack] = live.get(now.pack, 0) + now.length
        sparse = {
            pack for pack in needed & listed.keys() if live.get(pack, 0) < _SPARSE * listed[pack].size
        } - self._young(listed)
        writer = PackWriter(self._store, self._keys, _NO_BASE)
        try:
            kept = self._copy(writer, frames, sparse, moved)
            writer.close()
        except BaseException:
            writer.abandon()
            raise
        return moved, sparse - kept, sum(writer.sizes.values())

    def _young(self, listed: dict[str, Found]) -> set[str]:
        """Packs that pruning wrote a moment ago are left to settle."""
        prefix = f"{_NO_BASE:012}-"
        return {
            pack
            for pack, found in listed.items()
            if pack.startswith(prefix) and found.written > self._now - self._grace
        }

    def _frames(self) -> dict[Frame, str]:
        """Every frame that a kept backup names, and what it is. Raises: Damaged."""
        frames: dict[Frame, str] = dict.fromkeys(self._read, MANIFEST_KIND)
        tables: dict[int, set[Frame]] = {}
        for manifest in self._read.values():
            for number, segment in manifest.segments.items():
                tables.setdefault(number, set()).add(segment.table)
                frames[segment.table] = f"{TABLE_KIND} {number}"
        for batch in batches(tables):
            contents = self._fetcher.all({frame: frames[frame] for number in batch for frame in tables[number]})
            for table in map(decoded, contents.values()):
                if isinstance(table, Damaged):
                    raise table
                frames |= {entry.frame: CHUNKS_KIND for entry in table.entries.values()}
                frames |= {patch.frame: PATCHES_KIND for some in table.patches.values() for patch in some}
        return frames

    def _copy(
        self, writer: PackWriter, frames: dict[Frame, str], sparse: set[str], moved: dict[str, dict[int, Frame]]
    ) -> set[str]:
        """Afterwards what is needed of these packs is on its way into new ones; returns those that cannot be read."""
        unreadable: set[str] = set()
        copies: dict[Frame, Frame] = {}
        for frame, kind in sorted(frames.items()):
            now = self._fetcher.resolve(frame)
            if now.pack not in sparse or now.pack in unreadable:
                continue
            try:
                copies[now] = copies.get(now) or writer.add_packed(self._fetcher.packed(now, kind), kind)
            except Damaged:
                unreadable.add(now.pack)
        for frame in frames:
            now = self._fetcher.resolve(frame)
            if now in copies and now.pack not in unreadable:
                moved.setdefault(frame.pack, {})[frame.offset] = copies[now]
        return unreadable


def _bytes(listed: dict[str, Found], packs: Iterable[str]) -> int:
    return sum(listed[pack].size for pack in packs if pack in listed)
