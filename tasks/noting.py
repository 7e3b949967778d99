"""How the backup, verification or drill of a volume went, noted for the metrics of this host, whatever happens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prefect.logging import get_logger

from stampede.tasks.last_backups import Proof, note_backup
from stampede.tasks.this_host import this_host


@dataclass
class Note:
    """What is said of one that has ended. `good` is false for one that ended well and found something bad, `told` for
    one of which that says nothing: it was left out."""

    good: bool = True
    told: bool = True
    stored_bytes: int | None = None
    logical_bytes: int | None = None
    data_age_s: float | None = None


@asynccontextmanager
async def noted(stack: str, key: str, proof: Proof) -> AsyncIterator[Note]:
    """Afterwards metrics tell how it went; nothing of one that was cancelled."""
    began, note = time.time(), Note()
    try:
        yield note
    except Exception:
        _note(stack, key, proof, began, Note(good=False))
        raise
    if note.told:
        _note(stack, key, proof, began, note)


def _note(stack: str, key: str, proof: Proof, began: float, note: Note) -> None:
    ended = time.time()
    try:
        note_backup(
            this_host().places,
            stack,
            key,
            proof=proof,
            ended=ended,
            succeeded=note.good,
            duration_s=round(ended - began, 3),
            stored_bytes=note.stored_bytes,
            logical_bytes=note.logical_bytes,
            data_age_s=note.data_age_s,
        )
    except OSError as error:  # a full disk must not hide how the backup itself ended
        get_logger("stampede.backups").warning("metrics do not know how %s of %s/%s went: %s", proof, stack, key, error)
