"""What can be asked about backups: one class per flow, as in requests.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stampede.client.requests import Request, StackRequest
from stampede.client.volume_requests import OfStack


@dataclass(frozen=True, kw_only=True)
class BackupStack(StackRequest):
    """All volumes of a stack that its file says so of, or some, as they are at one moment."""

    flow: ClassVar[str] = "backup-stack"

    volumes: list[str] | None = None
    scheduled: bool | None = None


@dataclass(frozen=True, kw_only=True)
class BackupVolume(StackRequest):
    """One volume."""

    flow: ClassVar[str] = "backup-volume"

    volume: str


@dataclass(frozen=True, kw_only=True)
class ListBackups(Request):
    """Backups of a stack, or of all."""

    flow: ClassVar[str] = "list-backups"

    stack: str | None = None
    volumes: list[str] | None = None
    store: str | None = None


@dataclass(frozen=True, kw_only=True)
class VerifyBackups(OfStack):
    """Whether what is stored is what was written."""

    flow: ClassVar[str] = "verify-backups"

    volumes: list[str] | None = None
    store: str | None = None
    level: str | None = None
    requested_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class PruneBackups(OfStack):
    """Backups that nobody wants to keep go. `keep` has numbers by `last`, `hourly`, `daily`, … as in a stack file."""

    flow: ClassVar[str] = "prune-backups"

    volumes: list[str] | None = None
    keep: dict[str, int] | None = None
    dry_run: bool | None = None
    requested_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class RestoreBackup(StackRequest):
    """New volumes with what backups hold, or with `in_place` the volumes themselves. `until` is ISO 8601."""

    flow: ClassVar[str] = "restore-backup"

    volumes: list[str] | None = None
    store: str | None = None
    backup: int | None = None
    until: str | None = None
    to: str | None = None
    in_place: bool | None = None


@dataclass(frozen=True, kw_only=True)
class RecoverStack(StackRequest):
    """A stack that is not here comes back with its data, as it ran when it was backed up."""

    flow: ClassVar[str] = "recover-stack"

    store: str | None = None
    until: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListFiles(OfStack):
    """What a backup of a volume has in a folder."""

    flow: ClassVar[str] = "list-files"

    volume: str
    path: str | None = None
    store: str | None = None
    backup: int | None = None
    until: str | None = None


@dataclass(frozen=True, kw_only=True)
class RestoreFiles(OfStack):
    """Single paths of a backup, in a new folder of the volume, or in `to_dir` (absolute) on its host."""

    flow: ClassVar[str] = "restore-files"

    volume: str
    paths: list[str]
    store: str | None = None
    backup: int | None = None
    until: str | None = None
    to_dir: str | None = None
    dry_run: bool | None = None
    requested_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class RestoreInstantly(OfStack):
    """A new volume that is used while it comes out of a backup."""

    flow: ClassVar[str] = "restore-instantly"

    volume: str
    store: str | None = None
    backup: int | None = None
    until: str | None = None
    to: str | None = None
    dry_run: bool | None = None
    requested_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class DrillRestore(OfStack):
    """The newest backups are restored to scratch volumes, and the app runs on them where nothing gets out."""

    flow: ClassVar[str] = "drill-restore"

    volumes: list[str] | None = None
    store: str | None = None
    scheduled: bool | None = None
    requested_by: str | None = None
    why: str | None = None
