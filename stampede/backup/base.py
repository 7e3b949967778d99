"""Which backup a new one sets out from, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from stampede.backup.log import EMPTY, Commit, Harm, Log, Snapshot, Sweep
from stampede.backup.tables import Manifest
from stampede.errors import Foreign


@dataclass
class Base:
    """What a backup sets out from; backup 0 is none. `readable` is whether its manifest is."""

    seq: int = 0
    snapshot: Snapshot | None = None
    manifest: Manifest = field(default_factory=lambda: Manifest({}, {}))
    readable: bool = True
    sweep: Sweep = field(default_factory=Sweep)
    harm: Harm = field(default_factory=Harm)


def find_base(log: Log, head: Commit, wanted: int, origin: str) -> Base:
    """Backup `wanted`, against which the changes are known, if it is kept; else, or for 0, the newest there is.

    Raises: Foreign if another cluster than `origin` made it.
    """
    if head == EMPTY:
        return Base()
    commit = _commit(log, head, wanted)
    if commit.snapshot is not None and commit.snapshot.origin not in ("", origin):
        hint = "give one of the two clusters a prefix of its own"
        raise Foreign(f"cluster {commit.snapshot.origin} backs up a volume of this name here", hint)
    sweep = head.sweep or log.sweep(head.sweep_at)
    harm = head.harm or log.harm(head.harm_at)
    return Base(commit.seq, commit.snapshot, sweep=sweep, harm=harm)


def _commit(log: Log, head: Commit, wanted: int) -> Commit:
    """Of the base; EMPTY for none.

    Where commits of the log are lost, one that is listed may have been dropped and its packs be gone. So only the
    newest is a base then, or the one before it if the newest is all that is lost.
    """
    seq = head.newest
    if wanted not in (seq, 0):
        state = log.state(head)
        seq = wanted if wanted in state.snapshots and not state.lost else seq
    commit = head if head.seq == seq else log.tried(seq) if seq else EMPTY
    if commit is None:
        state = log.state(head)
        older = state.newest if state.lost <= {seq} else 0
        commit = log.tried(older) if older else EMPTY
    return commit or EMPTY
