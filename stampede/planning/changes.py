"""What a plan is made of: steps with reasons, grouped into what may run at the same time.

A plan names instances by slot and spec hash and carries no content, so that it may be shown, stored and sent anywhere.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from stampede.frozen import Frozen
from stampede.planning.instances import HASH_DIGITS_IN_NAMES
from stampede.planning.listening import Listening


class Action(StrEnum):
    """What happens to one instance (or network, volume, listener), in the words shown to people."""

    CREATE = "create"
    REPLACE = "replace"
    START = "start"
    RESTART = "restart"
    WAIT = "wait"
    CLEAN = "clean up"
    REMOVE = "remove"
    UPDATE = "update"
    ADOPT = "adopt"
    SET_ASIDE = "set aside"
    EJECT = "eject"
    STOP = "stop"
    RESTORE = "restore"


Order = Literal["start-first", "stop-first"]
Until = Literal["healthy", "completed"]


Kind = Literal["instance", "network", "volume", "listener", "file"]


class Change(Frozen):
    """One line of a plan as people read it."""

    action: Action
    kind: Kind
    name: str
    host: str = ""
    reason: str


class Old(Frozen):
    """An instance that is there and shall go, or be started or restarted."""

    id: str
    name: str
    state: str = "running"
    anonymous_volumes: dict[str, str] = {}
    ports: dict[str, int] = {}


class Roll(Frozen):
    """One slot goes from what is found to what is wanted.

    `wanted` is the spec hash of the instance that shall run, None when the slot goes. `kept` is the found instance that
    already has this spec, if there is one. `old` are those of other specs: they serve until the new one does
    (start-first), or stop before it starts (stop-first).
    """

    action: Action
    service: str
    slot: int
    host: str
    label: str
    wanted: str | None = None
    kept: Old | None = None
    old: tuple[Old, ...] = ()
    order: Order = "stop-first"
    until: Until = "healthy"
    settle_s: float = 1.0
    reason: str

    @property
    def title(self) -> str:
        """How the step is called in the Prefect UI."""
        digest = f" ({self.wanted.rpartition(':')[2][:HASH_DIGITS_IN_NAMES]})" if self.wanted else ""
        return f"{self.action} {self.label}{digest}"


class Wave(Frozen):
    """Rolls of one service that happen at the same time."""

    rolls: tuple[Roll, ...]
    pause_s: float = 0.0


class Lane(Frozen):
    """The waves of one service, one after the other, and what to do when one fails."""

    service: str
    waves: tuple[Wave, ...]
    on_failure: Literal["continue", "pause", "rollback"] = "rollback"
    max_failure_ratio: float = 0.0

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(roll.host for wave in self.waves for roll in wave.rolls)


class Stage(Frozen):
    """Lanes that do not depend on each other; the next stage begins when all of them have ended."""

    lanes: tuple[Lane, ...]


class Preparation(Frozen):
    """What a host needs before instances start there, and what it no longer needs afterwards (by file's names)."""

    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    grown_volumes: tuple[str, ...] = ()
    listening: Listening = Listening()
    obsolete_networks: tuple[str, ...] = ()
    obsolete_volumes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self == Preparation()


class Plan(Frozen):
    """Everything that has to change, in order; nothing when found is already as wanted."""

    stack: str
    changes: tuple[Change, ...] = ()
    preparations: dict[str, Preparation] = {}
    stages: tuple[Stage, ...] = ()
    unchanged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.changes


class Outcome(Frozen):
    """What a verb did. The same shape for every verb, and for its --dry-run."""

    stack: str
    revision: int | None
    changes: tuple[Change, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False

    @classmethod
    def of_plan(
        cls, plan: Plan, revision: int | None, *, warnings: tuple[str, ...] = (), dry_run: bool = False
    ) -> Outcome:
        """What carrying out `plan` amounts to; `warnings` are those of carrying it out."""
        return cls(
            stack=plan.stack,
            revision=revision,
            changes=plan.changes,
            unchanged=plan.unchanged,
            removed=tuple(c.name for c in plan.changes if c.action is Action.REMOVE),
            warnings=(*plan.warnings, *warnings),
            dry_run=dry_run,
        )
