"""What a stack file says about the data of its volumes: sizes, snapshots, backups, drills, and hooks around snapshots.

volumes:
  uploads:
    x-size: 20GiB
    x-snapshots: {schedule: "*/15 * * * *", keep: {last: 8}, before_deploy: true}
    x-backups: {store: offsite, schedule: hourly, keep: {hourly: 24, daily: 7}, drill: weekly}
services:
  db:
    x-hooks: {before_snapshot: [psql, -c, CHECKPOINT]}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from cronsim import CronSim, CronSimError
from pydantic import BeforeValidator, Field

from stampede.errors import BadInput
from stampede.frozen import Frozen
from stampede.retention import Retention
from stampede.volumes.room import GIB, SMALLEST_VOLUME, human
from stampede.volumes.settings import parse_size

DEFAULT_SIZE = 10 * GIB  # of a volume that has snapshots or backups, and no x-size
_WORDS = {"hourly": "0 * * * *", "daily": "0 3 * * *", "weekly": "0 4 * * 0", "monthly": "0 4 1 * *"}


def _size(value: Any) -> Any:
    """Bytes of a size such as 20GiB; numbers are bytes. Raises ValueError."""
    try:
        size = parse_size(value) if isinstance(value, str) else value
    except BadInput as error:
        raise ValueError(f"{error.message}: {error.hint}") from error
    if isinstance(size, int) and size < SMALLEST_VOLUME:
        raise ValueError(f"a volume has at least {human(SMALLEST_VOLUME)}")
    return size


def _cron(value: Any) -> Any:
    """A cron expression of five fields, or one of the words for common ones. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError('a schedule is text such as "*/15 * * * *" or hourly')
    expression = _WORDS.get(value, " ".join(value.split()))
    try:
        if len(expression.split(" ")) != 5:
            raise CronSimError("five fields")
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f'{value!r} is no schedule: five fields such as "*/15 * * * *", or {_one_of()}') from error
    return expression


def _one_of() -> str:
    return ", ".join(_WORDS)


def _command(value: Any) -> Any:
    """A command as a list; text runs in a shell, as in Compose's healthcheck."""
    return ("/bin/sh", "-c", value) if isinstance(value, str) else value


def _drill(value: Any) -> Any:
    """A drill that is only a schedule may be written as that."""
    return value if isinstance(value, Mapping) else {"schedule": value}


Size = Annotated[int, BeforeValidator(_size)]
Cron = Annotated[str, BeforeValidator(_cron)]
Command = Annotated[tuple[str, ...], BeforeValidator(_command)]


class SnapshotPolicy(Frozen):
    """When snapshots are taken and which are kept. Those taken by hand are not removed by `keep`."""

    schedule: Cron | None = None
    keep: Retention = Retention(last=8)
    before_deploy: bool = False


class DrillPolicy(Frozen):
    """When the newest backup is restored to a scratch volume and a service run on it, and what has to succeed there."""

    schedule: Cron
    service: str | None = None
    check: Command = ()


class BackupPolicy(Frozen):
    """To which store backups go, when, and which are kept; without `keep`, all are."""

    store: str
    schedule: Cron | None = None
    keep: Retention = Retention()
    drill: Annotated[DrillPolicy, BeforeValidator(_drill)] | None = None


class Hooks(Frozen):
    """Commands that run in a service's container around a snapshot of its volumes; `after_snapshot` always does."""

    before_snapshot: Command = Field(default=())
    after_snapshot: Command = Field(default=())
