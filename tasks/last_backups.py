"""How the latest backup, verification and drill of each volume went, kept in a file of the host: what metrics tell."""

from __future__ import annotations

import threading
from typing import Literal

from pydantic import TypeAdapter

from stampede.control_plane.services import write_private
from stampede.frozen import Frozen
from stampede.places import Places

FILE = "last-backups.json"
Proof = Literal["backup", "verify", "drill"]
_writing = threading.Lock()


class LastBackup(Frozen):
    """The latest backup, verification or drill of a volume. Times are seconds since 1970.

    `last_good` is when one last succeeded, None when none ever did. `stored_bytes` is what the latest good backup added
    to the store, `logical_bytes` how much it holds; `data_age_s` how old the data was that a drill brought back.
    """

    stack: str
    volume: str
    proof: Proof
    ended: float
    succeeded: bool
    last_good: float | None = None
    duration_s: float = 0.0
    stored_bytes: int | None = None
    logical_bytes: int | None = None
    data_age_s: float | None = None


_BACKUPS = TypeAdapter(tuple[LastBackup, ...])


def read_backups(places: Places) -> tuple[LastBackup, ...]:
    """One per stack, volume and proof; none where nothing was ever backed up."""
    try:
        return _BACKUPS.validate_json((places.host / FILE).read_bytes())
    except FileNotFoundError:
        return ()


def note_backup(
    places: Places,
    stack: str,
    volume: str,
    *,
    proof: Proof = "backup",
    ended: float,
    succeeded: bool,
    duration_s: float = 0.0,
    stored_bytes: int | None = None,
    logical_bytes: int | None = None,
    data_age_s: float | None = None,
) -> None:
    """Afterwards metrics tell of this one; a failed one leaves when one was last good, and what that one stored.

    To be called once per volume (its key in the file, `uploads`) when a backup, a verification or a drill of it has
    ended, well or not, also one that changed nothing; not when it was cancelled, nor for a dry run: `noting.noted` does
    that, on the host whose metrics are to tell. Beside it go the events `stampede.backup|verify|drill.finished|failed`.
    Raises: OSError, which must not hide how the backup ended.
    """
    with _writing:
        known = {(one.stack, one.volume, one.proof): one for one in read_backups(places)}
        before = known.pop((stack, volume, proof), None)
        latest = LastBackup(
            stack=stack,
            volume=volume,
            proof=proof,
            ended=ended,
            succeeded=succeeded,
            last_good=ended if succeeded else before and before.last_good,
            duration_s=duration_s,
            stored_bytes=stored_bytes if succeeded else before and before.stored_bytes,
            logical_bytes=logical_bytes if succeeded else before and before.logical_bytes,
            data_age_s=data_age_s if succeeded else before and before.data_age_s,
        )
        _write(places, (*known.values(), latest))


def forget_backups(places: Places, stack: str, volume: str | None = None) -> None:
    """Afterwards metrics tell nothing of this stack's backups, or of this one volume's: nobody waits for the next."""
    with _writing:
        before = read_backups(places)
        kept = tuple(one for one in before if one.stack != stack or volume not in (None, one.volume))
        if kept != before:
            _write(places, kept)


def _write(places: Places, backups: tuple[LastBackup, ...]) -> None:
    places.host.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(places.host / FILE, _BACKUPS.dump_json(backups).decode() + "\n")
