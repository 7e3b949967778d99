"""What can be asked about volumes and snapshots: one class per flow, as in requests.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stampede.client.requests import Request, StackRequest


@dataclass(frozen=True, kw_only=True)
class OfStack(Request):
    """A request about the data of a stack, of which nothing else changes."""

    stack: str

    @property
    def subject(self) -> str | None:
        return self.stack


@dataclass(frozen=True, kw_only=True)
class ListVolumes(Request):
    """Managed volumes, of a stack or of all."""

    flow: ClassVar[str] = "list-volumes"

    stack: str | None = None


@dataclass(frozen=True, kw_only=True)
class ListSnapshots(Request):
    """Snapshots of a stack's volumes, or of all."""

    flow: ClassVar[str] = "list-snapshots"

    stack: str | None = None
    volumes: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class SnapshotStack(OfStack):
    """All volumes of a stack, or some, at one point in time."""

    flow: ClassVar[str] = "snapshot-stack"

    volumes: list[str] | None = None
    scheduled: bool | None = None
    allowed_stall_s: float | None = None
    requested_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class SnapshotVolume(OfStack):
    """One volume, as it is now."""

    flow: ClassVar[str] = "snapshot-volume"

    volume: str
    allowed_stall_s: float | None = None
    requested_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class RemoveSnapshot(OfStack):
    """A snapshot goes, of some volumes or of all that have it."""

    flow: ClassVar[str] = "remove-snapshot"

    snapshot: str
    volumes: list[str] | None = None
    force: bool | None = None


@dataclass(frozen=True, kw_only=True)
class RestoreStack(StackRequest):
    """Volumes go back to a snapshot."""

    flow: ClassVar[str] = "restore-stack"

    snapshot: str | None = None
    volumes: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class RestoreVolume(StackRequest):
    """One volume goes back to a snapshot."""

    flow: ClassVar[str] = "restore-volume"

    volume: str
    snapshot: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateVolume(OfStack):
    """A new empty managed volume."""

    flow: ClassVar[str] = "create-volume"

    volume: str
    size_bytes: int
    host: str | None = None


@dataclass(frozen=True, kw_only=True)
class CloneVolume(OfStack):
    """A new volume with the content of another."""

    flow: ClassVar[str] = "clone-volume"

    volume: str
    new: str
    snapshot: str | None = None
    new_stack: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class ResizeVolume(StackRequest):
    """Another size."""

    flow: ClassVar[str] = "resize-volume"

    volume: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class AdoptVolume(StackRequest):
    """A volume of Docker's own becomes a managed one, with its data."""

    flow: ClassVar[str] = "adopt-volume"

    volume: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class CompactVolume(StackRequest):
    """Its image in few extents."""

    flow: ClassVar[str] = "compact-volume"

    volume: str


@dataclass(frozen=True, kw_only=True)
class RemoveVolume(OfStack):
    """A volume goes, with its data and snapshots."""

    flow: ClassVar[str] = "remove-volume"

    volume: str
    wait_for_lock_s: float | None = None
    requested_by: str | None = None
    why: str | None = None
