"""What can be asked of a server: one class per flow that people start, with that flow's parameters as fields.

A field that is None is left to the flow's own default, so that a newer client can talk to an older server.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Request:
    """A flow to start."""

    flow: ClassVar[str]

    @property
    def subject(self) -> str | None:
        """The stack it is about, or None."""
        return None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the flow run."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class StackRequest(Request):
    """A verb on one stack. `requested_by` and `why` end up in the stack's history."""

    stack: str
    requested_by: str | None = None
    why: str | None = None
    dry_run: bool | None = None
    wait_for_lock_s: float | None = None

    @property
    def subject(self) -> str | None:
        return self.stack


@dataclass(frozen=True, kw_only=True)
class DeployStack(StackRequest):
    """Make what runs equal to a candidate, to an earlier revision, or to the wanted one with other images."""

    flow: ClassVar[str] = "deploy-stack"

    candidate: str | None = None
    revision: int | None = None
    images: dict[str, str] | None = None
    force_recreate: bool | None = None
    pull: str | None = None
    build: bool | None = None
    skip_snapshot: bool | None = None


@dataclass(frozen=True, kw_only=True)
class PlanStack(Request):
    """Say what a deploy of the candidate, or of the wanted revision with other images, would change and why."""

    flow: ClassVar[str] = "plan-stack"

    stack: str
    candidate: str | None = None
    images: dict[str, str] | None = None

    @property
    def subject(self) -> str | None:
        return self.stack


@dataclass(frozen=True, kw_only=True)
class AdoptStack(StackRequest):
    """Take over a running Compose project of the stack's name."""

    flow: ClassVar[str] = "adopt-stack"

    candidate: str | None = None


@dataclass(frozen=True, kw_only=True)
class EjectStack(StackRequest):
    """Turn the stack into a project of plain Docker Compose in `directory` (absolute) on its host."""

    flow: ClassVar[str] = "eject-stack"

    directory: str
    replicas_to_one: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ScaleService(StackRequest):
    """Other numbers of replicas."""

    flow: ClassVar[str] = "scale-service"

    replicas: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RollbackStack(StackRequest):
    """Back to a kept revision; without one, to the revision before the newest."""

    flow: ClassVar[str] = "rollback-stack"

    revision: int | None = None
    with_data: bool | None = None


@dataclass(frozen=True, kw_only=True)
class RestartService(StackRequest):
    """Restart the instances of these services, all when none is named."""

    flow: ClassVar[str] = "restart-service"

    services: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RemoveStack(StackRequest):
    """Remove what a stack runs; its volumes stay unless `volumes` is true."""

    flow: ClassVar[str] = "remove-stack"

    volumes: bool | None = None


@dataclass(frozen=True, kw_only=True)
class RebuildServer(Request):
    """Fill an empty server from what the hosts keep."""

    flow: ClassVar[str] = "rebuild-server"

    requested_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class AddStore(Request):
    """Meet the repository of a store that was written down, from every host."""

    flow: ClassVar[str] = "add-store"

    store: str


@dataclass(frozen=True, kw_only=True)
class CheckStore(Request):
    """Look at a store from every host."""

    flow: ClassVar[str] = "check-store"

    store: str
