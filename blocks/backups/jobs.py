"""What the process that backs up is told on its standard input, and what it answers, as JSON."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, TypeAdapter, field_serializer

from stampede.backup.catalogue import Listed
from stampede.backup.prune import PruneReport
from stampede.backup.restore import RestoreReport
from stampede.backup.store import Lock
from stampede.backup.verify import Level, VerifyReport
from stampede.backup.writer import BackupReport
from stampede.blocks.backups.place import Place
from stampede.blocks.object_store import S3Address
from stampede.frozen import Frozen
from stampede.retention import Retention


class RepositoryAccess(Frozen):
    """A bucket and the opened repository in it. `master_key` (hex) opens everything. `lock` is for what is written."""

    address: S3Address
    repository: str
    master_key: SecretStr
    lock: Lock | None = None

    @field_serializer("address", "master_key", when_used="json")
    def _revealed(self, value: S3Address | SecretStr) -> Any:
        """With its secrets: what is written as JSON here goes to the standard input of our own process only."""
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        plain = value.model_dump(mode="json")
        secret, token = value.secret_key, value.session_token
        return plain | {
            "secret_key": secret.get_secret_value(),
            "session_token": token.get_secret_value() if token else None,
        }


class BackupJob(Frozen):
    """Back up `image`, a snapshot. `base_image` is the snapshot that became backup `base`, if it is there still."""

    verb: Literal["backup"] = "backup"
    access: RepositoryAccess
    volume: str
    image: Path
    base_image: Path | None = None
    base: int = 0
    created: datetime
    origin: str = ""
    host: str = ""
    spec: str = "{}"


class RestoreJob(Frozen):
    """Restore to `target`, which must not exist. An image of more than `largest_bytes` is refused."""

    verb: Literal["restore"] = "restore"
    access: RepositoryAccess
    volume: str
    target: Path
    backup: int | None = None
    allow_holes: bool = False
    largest_bytes: int | None = None


class VerifyJob(Frozen):
    verb: Literal["verify"] = "verify"
    access: RepositoryAccess
    volume: str
    level: Level = "quick"
    fraction: float = 0.02


class PruneJob(Frozen):
    verb: Literal["prune"] = "prune"
    access: RepositoryAccess
    volume: str
    rule: Retention
    pinned: frozenset[int] = frozenset()
    grace_s: float = 24 * 3600.0
    dry_run: bool = False


class ListJob(Frozen):
    """Backups of one volume, or of all; those that are lost as well if asked for."""

    verb: Literal["list"] = "list"
    access: RepositoryAccess
    volume: str | None = None
    with_lost: bool = False


class SpecJob(Frozen):
    """What one backup says of the app. The answer holds secrets."""

    verb: Literal["spec"] = "spec"
    access: RepositoryAccess
    volume: str
    backup: int


class ServeJob(Frozen):
    """Serve a backup at `place`, for as long as the job's standard input is open."""

    access: RepositoryAccess
    volume: str
    place: Place
    backup: int | None = None
    patience_s: float = 60.0  # for how long a reader waits for a store that does not answer


class BringJob(Frozen):
    """Bring a backup into `folder`, where a volume arrives, and serve it there until it is unmounted."""

    access: RepositoryAccess
    volume: str
    backup: int
    folder: Path
    most_bytes: int
    patience_s: float = 60.0


Job = BackupJob | RestoreJob | VerifyJob | PruneJob | ListJob | SpecJob
Answer = BackupReport | RestoreReport | VerifyReport | PruneReport | list[Listed] | str

JOBS: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Field(discriminator="verb")])
ANSWERS: dict[str, TypeAdapter[Any]] = {
    "backup": TypeAdapter(BackupReport),
    "restore": TypeAdapter(RestoreReport),
    "verify": TypeAdapter(VerifyReport),
    "prune": TypeAdapter(PruneReport),
    "list": TypeAdapter(list[Listed]),
    "spec": TypeAdapter(str),
}
