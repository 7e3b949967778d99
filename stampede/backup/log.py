"""The log of a volume: numbered commits, each written once. The one primitive is to put an object if it is absent.

Whoever publishes commit N has read all commits before it, because N - 1 is the newest it found. So a commit can rely on
what those before it say: a backup on packs that no sweep before it gave up, a sweep on all backups that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
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
    """What the log says up to `head`: the backups that are kept, without their specs."""

    head: int = 0
    snapshots: dict[int, Snapshot] = {}
    sweep_at: int = 0
    harm_at: int = 0
    checkpoint: int = 0

    @property
    def newest(self) -> int:
        return max(self.snapshots, default=0)

    def without(self, seqs: Collection[int]) -> State:
        """The same without these backups."""
        kept = {seq: one for seq, one in self.snapshots.items() if seq not in seqs}
        return self.model_copy(update={"snapshots": kept})

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
        )


EMPTY = Commit(seq=0, kind="drop", written=datetime.min)


class Log:
    """The log of one volume."""

    def __init__(self, store: ObjectStore, keys: VolumeKeys) -> None:
        self._store, self._keys = store, keys

    def head(self) -> Commit:
        """The newest commit; EMPTY if there is none. One LIST per 1000 commits and one GET. Raises: Damaged."""
        newest = ""
        for found in self._store.list(f"{self._keys.folder}/s/"):
            newest = found.name
        return self.read(seq_of(newest)) if newest else EMPTY

    def read(self, seq: int) -> Commit:
        """Raises: Damaged, NewerFormat."""
        name = commit_name(self._keys.folder, seq)
        commit = self._opened(name, "commit", Commit)
        if commit.seq != seq:
            raise Damaged(f"{name} is not what was written there")
        return commit

    def state(self, head: Commit | None = None) -> State:
        """What it says up to `head` (the newest commit). Raises: Damaged."""
        head = head or self.head()
        state = State()
        if head.checkpoint:
            state = self._opened(checkpoint_name(self._keys.folder, head.checkpoint), "checkpoint", State)
        seqs = range(state.head + 1, head.seq)
        with ThreadPoolExecutor(_READERS) as threads:
            for commit in threads.map(self.read, seqs):
                state = state.after(commit)
        return state.after(head) if head.seq else state

    def survey(self) -> tuple[Commit | None, State, dict[int, Damaged]]:
        """What can be read of the log, and which commits cannot; the newest one is None if it is among those."""
        seqs = [seq_of(found.name) for found in self._store.list(f"{self._keys.folder}/s/")]
        broken: dict[int, Damaged] = {}

        def read(seq: int) -> Commit | None:
            try:
                return self.read(seq)
            except Damaged as damage:
                broken[seq] = damage
                return None

        if not seqs:
            return EMPTY, State(), broken
        head, state = read(seqs[-1]), State()
        if head is not None and head.checkpoint:
            state = self._opened(checkpoint_name(self._keys.folder, head.checkpoint), "checkpoint", State)
        with ThreadPoolExecutor(_READERS) as threads:
            for commit in threads.map(read, range(state.head + 1, seqs[-1])):
                state = state.after(commit) if commit is not None else state
        return head, state.after(head) if head is not None else state, broken

    def sweep(self, seq: int) -> Sweep:
        """The sweep of commit `seq`; an empty one for 0."""
        return (self.read(seq).sweep if seq else None) or Sweep()

    def harm(self, seq: int) -> Harm:
        """What commit `seq` says is damaged; nothing for 0."""
        return (self.read(seq).harm if seq else None) or Harm()

    def publish(self, head: Commit, write: Callable[[Commit], Commit], passing: Callable[[Commit], None]) -> Commit:
        """Afterwards what `write` makes of the commit before it is the newest commit of the log.

        Whenever somebody else was faster, `passing` is asked about that commit; when it raises, nothing is published.
        `write` gets a commit with number and places to read on filled in.
        """
        while True:
            commit = write(self._next(head))
            name = commit_name(self._keys.folder, commit.seq)
            if self._store.put_if_absent(name, self._sealed(name, "commit", commit)):
                return commit
            head = self.read(commit.seq)
            passing(head)

    def _next(self, head: Commit) -> Commit:
        checkpoint = head.checkpoint
        if head.seq - checkpoint >= _CHECKPOINT_EVERY:
            name = checkpoint_name(self._keys.folder, head.seq)
            state = self.state(head).model_copy(update={"checkpoint": head.seq})
            self._store.put_if_absent(name, self._sealed(name, "checkpoint", state))
            checkpoint = head.seq
        return Commit(
            seq=head.seq + 1,
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
