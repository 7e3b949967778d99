"""The log of a volume: numbered commits, each written once. The one primitive is to put an object if it is absent.

Whoever publishes commit N has read all commits before it, because N - 1 is the newest it found. So a commit can rely on
what those before it say: a backup on packs that no sweep before it gave up, a sweep on all backups that there are.
A commit that cannot be read is left behind: verify names it, and until then nothing is pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import Literal, TypeVar

from pydantic import ValidationError

from stampede.backup.names import checkpoint_name, commit_name, seq_of
from stampede.backup.sealing import VolumeKeys
from stampede.backup.store import ObjectStore
from stampede.backup.tables import Frame
from stampede.errors import Damaged, NewerFormat
from stampede.frozen import Frozen

FORMAT = 1
_MAGIC = b"stampede"
_CHECKPOINT_EVERY = 64
_READERS = 8
_PAGE = 1000  # what one LIST brings
_NEWEST = 16  # so many commits are tried until one can be read
_F = TypeVar("_F", bound=Frozen)


class Snapshot(Frozen):
    """A backup: the content of a volume as of `created`."""

    created: datetime
    size: int
    data_bytes: int  # in chunks that are not zeros
    parent: int  # the backup it set out from; 0 for none
    manifest: Frame | None  # None for a volume of zeros
    manifest_pack_size: int = 0  # bytes in the pack of the manifest, which the manifest cannot know
    changed_bytes: int
    uploaded_bytes: int
    locked_until: datetime | None = None  # the earliest end of the locks of what it needs; None for not locked
    origin: str = ""  # the cluster that made it
    host: str = ""  # and the host of it that had the volume
    spec: str = "{}"  # the stack's revision and whatever else is needed to bring the app back; JSON


class Sweep(Frozen):
    """What pruning has given up, as of this commit. It replaces the sweep before it."""

    condemned: dict[str, datetime] = {}  # packs nothing needs, and since when by the store's clock
    dead: tuple[str, ...] = ()  # packs that may be gone any moment, or are
    moved: dict[str, dict[int, Frame]] = {}  # packs whose frames are elsewhere now, by their old offset


class Harm(Frozen):
    """What verify found damaged. It replaces what was found before."""

    frames: frozenset[tuple[str, int]] = frozenset()  # pack and offset
    packs: frozenset[str] = frozenset()  # missing or cut short
    commits: frozenset[int] = frozenset()  # of the log


class Commit(Frozen):
    """One entry of the log. `newest`, `sweep`, `harm` and `checkpoint` say where to read on; 0 for nowhere."""

    seq: int
    kind: Literal["snapshot", "drop", "gc", "damage"]
    written: datetime
    newest: int = 0
    sweep_at: int = 0
    harm_at: int = 0
    checkpoint: int = 0
    snapshot: Snapshot | None = None
    dropped: tuple[int, ...] = ()
    sweep: Sweep | None = None
    harm: Harm | None = None


class State(Frozen):
    """What the log says up to `head`: the backups that are kept, without their specs.

    `lost` are commits that could not be read: backups, unless they dropped some, which are here again then.
    """

    head: int = 0
    snapshots: dict[int, Snapshot] = {}
    sweep_at: int = 0
    harm_at: int = 0
    checkpoint: int = 0
    lost: frozenset[int] = frozenset()

    @property
    def newest(self) -> int:
        return max(self.snapshots, default=0)

    def without(self, seqs: Collection[int]) -> State:
        """The same without these backups."""
        kept = {seq: one for seq, one in self.snapshots.items() if seq not in seqs}
        return self.model_copy(update={"snapshots": kept})

    def having_lost(self, seq: int) -> State:
        return self.model_copy(update={"head": seq, "lost": self.lost | {seq}})

    def after(self, commit: Commit) -> State:
        snapshots = dict(self.without(commit.dropped).snapshots)
        if commit.snapshot is not None:
            snapshots[commit.seq] = commit.snapshot.model_copy(update={"spec": ""})
        return State(
            head=commit.seq,
            snapshots=snapshots,
            sweep_at=commit.seq if commit.sweep is not None else commit.sweep_at,
            harm_at=commit.seq if commit.harm is not None else commit.harm_at,
            checkpoint=commit.checkpoint,
            lost=self.lost,
        )


EMPTY = Commit(seq=0, kind="drop", written=datetime.min)


class Log:
    """The log of one volume. `broken` are the commits that were tried and cannot be read, and why."""

    def __init__(self, store: ObjectStore, keys: VolumeKeys) -> None:
        self._store, self._keys = store, keys
        self.broken: dict[int, Damaged] = {}
        self.broken_checkpoint: Damaged | None = None

    def head(self) -> Commit:
        """The newest commit that can be read; EMPTY if there are none. Two or three requests, however many there are.

        Raises: Damaged if none of the newest can be read: then it is rather the key that is wrong.
        """
        newest = self._newest()
        for seq in newest:
            if (commit := self.tried(seq)) is not None:
                return commit
        if newest:
            what = self.broken[newest[0]].message
            raise Damaged(f"no commit of this log can be read: {what}", "is it the key of this repository?")
        return EMPTY

    def read(self, seq: int) -> Commit:
        """Raises: Damaged, NewerFormat."""
        name = commit_name(self._keys.folder, seq)
        commit = self._opened(name, "commit", Commit)
        if commit.seq != seq:
            raise Damaged(f"{name} is not what was written there")
        return commit

    def tried(self, seq: int) -> Commit | None:
        """The commit; None if it cannot be read, which is remembered."""
        try:
            return self.read(seq)
        except Damaged as damage:
            self.broken[seq] = damage
            return None

    def state(self, head: Commit | None = None) -> State:
        """What it says up to `head` (the newest commit), as far as it can be read."""
        head = head or self.head()
        state = self._checkpoint(head.checkpoint)
        seqs = range(state.head + 1, head.seq)
        with ThreadPoolExecutor(_READERS) as threads:
            for seq, commit in zip(seqs, threads.map(self.tried, seqs), strict=True):
                state = state.after(commit) if commit is not None else state.having_lost(seq)
        return state.after(head) if head.seq else state

    def sweep(self, seq: int) -> Sweep:
        """The sweep of commit `seq`, an empty one for 0; that before it if it cannot be read.

        With that one nothing is lost: what a sweep condemns or moves stays where it was until a later sweep.
        """
        found = self._nearest(seq, lambda commit: commit.sweep is not None, lambda commit: commit.sweep_at)
        return (found.sweep if found else None) or Sweep()

    def harm(self, seq: int) -> Harm:
        """What commit `seq` says is damaged, nothing for 0; what was known before if it cannot be read."""
        found = self._nearest(seq, lambda commit: commit.harm is not None, lambda commit: commit.harm_at)
        return (found.harm if found else None) or Harm()

    def publish(self, head: Commit, write: Callable[[Commit], Commit], passing: Callable[[Commit], None]) -> Commit:
        """Afterwards what `write` makes of the commit before it is the newest commit of the log.

        Whenever somebody else was faster, `passing` is asked about that commit; when it raises, nothing is published.
        `write` gets a commit with number and places to read on filled in. A commit that cannot be read is left behind:
        what it gave up for good, sweeps before it had condemned.
        """
        seq = head.seq + 1
        while True:
            commit = write(self._next(head, seq))
            name = commit_name(self._keys.folder, commit.seq)
            if self._store.put_if_absent(name, self._sealed(name, "commit", commit)):
                return commit
            if (other := self.tried(seq)) is not None:
                head = other
                passing(head)
            seq += 1

    def _newest(self) -> list[int]:
        """The numbers of the newest commits, the newest first."""
        prefix = f"{self._keys.folder}/s/"
        names = [one.name for one in islice(self._store.list(prefix), _PAGE)]
        if len(names) == _PAGE:  # checkpoints are few, and behind the last of them there is no second page
            marks = [one.name for one in self._store.list(f"{self._keys.folder}/k/")]
            behind = commit_name(self._keys.folder, max(seq_of(marks[-1]) - _NEWEST, 0)) if marks else ""
            names += [one.name for one in self._store.list(prefix, after=max(behind, names[-1]))]
        return [seq_of(name) for name in reversed(names[-_NEWEST:])]

    def _nearest(self, seq: int, has: Callable[[Commit], bool], where: Callable[[Commit], int]) -> Commit | None:
        """The commit `seq`; if it cannot be read, the one that commits before it point to."""
        while seq:
            commit = self.tried(seq)
            if commit is not None and has(commit):
                return commit
            seq = where(commit) if commit is not None else seq - 1
        return None

    def _checkpoint(self, seq: int) -> State:
        """What checkpoint `seq` says; nothing for 0, or if it cannot be read: then all commits are."""
        if seq:
            try:
                return self._opened(checkpoint_name(self._keys.folder, seq), "checkpoint", State)
            except Damaged as damage:
                self.broken_checkpoint = damage
        return State()

    def _next(self, head: Commit, seq: int) -> Commit:
        checkpoint = head.checkpoint
        if head.seq - checkpoint >= _CHECKPOINT_EVERY:
            name = checkpoint_name(self._keys.folder, head.seq)
            state = self.state(head).model_copy(update={"checkpoint": head.seq})
            self._store.put_if_absent(name, self._sealed(name, "checkpoint", state))
            checkpoint = head.seq
        return Commit(
            seq=seq,
            kind="drop",
            written=head.written,
            newest=head.newest,
            sweep_at=head.seq if head.sweep is not None else head.sweep_at,
            harm_at=head.seq if head.harm is not None else head.harm_at,
            checkpoint=checkpoint,
        )

    def _sealed(self, name: str, kind: str, content: Frozen) -> bytes:
        place = name.removeprefix(f"{self._keys.folder}/")
        return _MAGIC + bytes([FORMAT]) + self._keys.seal(content.model_dump_json().encode(), place, kind)

    def _opened(self, name: str, kind: str, model: type[_F]) -> _F:
        content = self._store.get(name)
        if content[: len(_MAGIC)] != _MAGIC or len(content) <= len(_MAGIC):
            raise Damaged(f"{name} is not what was written there")
        if content[len(_MAGIC)] > FORMAT:
            raise NewerFormat(f"{name} has format {content[len(_MAGIC)]}", "use a newer release of Stampede")
        place = name.removeprefix(f"{self._keys.folder}/")
        try:
            return model.model_validate_json(self._keys.open(content[len(_MAGIC) + 1 :], place, kind))
        except ValidationError as error:
            raise Damaged(f"{name} makes no sense") from error


def needed_sizes(sizes: Iterable[tuple[str, int]], snapshot: Snapshot) -> dict[str, int]:
    """The length of each pack of a manifest, with that of its own pack, which only the commit knows."""
    assert snapshot.manifest is not None
    return dict(sizes) | {snapshot.manifest.pack: snapshot.manifest_pack_size}
