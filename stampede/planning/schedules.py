"""The schedules that a stack's file asks for: what is started when, by which flow, and for which volumes. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator

from stampede.frozen import Frozen
from stampede.stackfile.models import Stack

OURS = "stampede-"
BACKUP_FLOW = "backup-stack"


class Schedule(Frozen):
    """A flow of the stack's that starts when `cron` says, in UTC, for these volumes (keys of the file)."""

    flow: str
    cron: str
    volumes: tuple[str, ...]

    @property
    def slug(self) -> str:
        """What the schedule is known by: another one for another time or other volumes."""
        said = " ".join((self.cron, *self.volumes))
        return f"{OURS}{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def schedules_of(stack: Stack) -> tuple[Schedule, ...]:
    """Volumes with the same flow at the same time are one schedule, so that they have one point in time."""
    together: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in sorted(stack.volumes):
        for flow, cron in _of_volume(stack, key):
            together[flow, cron].append(key)
    return tuple(Schedule(flow=flow, cron=cron, volumes=tuple(keys)) for (flow, cron), keys in together.items())


def _of_volume(stack: Stack, key: str) -> Iterator[tuple[str, str]]:
    volume = stack.volumes[key]
    if volume.snapshots and volume.snapshots.schedule:
        yield "snapshot-stack", volume.snapshots.schedule
    if volume.backups and volume.backups.schedule:
        yield BACKUP_FLOW, volume.backups.schedule
    if volume.backups and volume.backups.drill:
        yield "drill-restore", volume.backups.drill.schedule
