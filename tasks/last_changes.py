"""How the latest change of each kind went, per stack, kept in a file of the control host: what its metrics tell."""

from __future__ import annotations

import threading

from pydantic import TypeAdapter

from stampede.control_plane.services import write_private
from stampede.frozen import Frozen
from stampede.places import Places

FILE = "last-changes.json"
_writing = threading.Lock()


class LastChange(Frozen):
    """The latest run of a verb on a stack that changed, or was to change, something. `ended` is seconds since 1970."""

    stack: str
    verb: str
    ended: float
    succeeded: bool
    duration_s: float


_CHANGES = TypeAdapter(tuple[LastChange, ...])


def read_changes(places: Places) -> tuple[LastChange, ...]:
    """One per stack and verb; none where nothing was ever changed."""
    try:
        return _CHANGES.validate_json((places.host / FILE).read_bytes())
    except FileNotFoundError:
        return ()


def note_change(places: Places, change: LastChange) -> None:
    """Afterwards this is the latest one of its stack and verb."""
    with _writing:
        others = [c for c in read_changes(places) if (c.stack, c.verb) != (change.stack, change.verb)]
        places.host.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(places.host / FILE, _CHANGES.dump_json((*others, change)).decode() + "\n")


def forget_changes(places: Places, stack: str) -> None:
    """Afterwards nothing is kept of this stack but how it was removed."""
    with _writing:
        changes = read_changes(places)
        kept = tuple(c for c in changes if c.stack != stack or c.verb == "remove")
        if kept != changes:
            write_private(places.host / FILE, _CHANGES.dump_json(kept).decode() + "\n")
