"""What is read from a server: instances as hosts report them, and the revisions of a stack with what became of them."""

from __future__ import annotations

from datetime import datetime

from stampede.frozen import Frozen


class InstanceView(Frozen):
    """One instance as its host last reported it. `reported` says when that was."""

    stack: str
    service: str
    name: str
    slot: int
    kind: str
    host: str
    state: str
    health: str
    image: str
    addresses: dict[str, str] = {}
    published: tuple[str, ...] = ()
    revision: int
    restarts: int = 0
    created: datetime | None = None
    reported: datetime | None = None


class HistoryEntry(Frozen):
    """One change of a stack: a revision that was recorded, or a run that recorded none.

    `revision` is then the one that served after it, or that a failed rollback was to reach; None for others.
    """

    revision: int | None
    created: datetime
    by: str = ""
    why: str = ""
    verb: str = ""
    outcome: str = ""
    run: str = ""
    url: str = ""
    images: dict[str, str] = {}
