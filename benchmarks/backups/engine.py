"""Stampede's engine, as a host runs it: a process of its own for each job, its start included."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.usage import Usage, use
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import create_repository
from stampede.blocks.backups import BackupJob, Job, RepositoryAccess, RestoreJob, VerifyJob
from stampede.blocks.object_store import S3Address, S3Store

NAME = "stampede"
VOLUME = "bench_volume"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Engine:
    """A repository of its own."""

    access: RepositoryAccess

    @classmethod
    def create(cls, address: S3Address) -> Engine:
        store = S3Store(address)
        keys = create_repository(store, new_recovery_key(), WHEN)
        store.close()
        master = SecretStr(keys.master.hex())
        return cls(RepositoryAccess(address=address, repository=keys.repository, master_key=master))

    def back_up(self, image: Path, base_image: Path | None = None, base: int = 0) -> Usage:
        job = BackupJob(
            access=self.access, volume=VOLUME, image=image, base_image=base_image, base=base, created=WHEN, origin="b"
        )
        return _run(job)

    def restore(self, target: Path) -> Usage:
        return _run(RestoreJob(access=self.access, volume=VOLUME, target=target))

    def verify(self) -> Usage:
        return _run(VerifyJob(access=self.access, volume=VOLUME, level="full"))


def answer_of(usage: Usage) -> dict[str, Any]:
    """What the job answered."""
    found: dict[str, Any] = json.loads(usage.out.splitlines()[-1])["answer"]
    return found


def start() -> None:
    """Loads all that a job needs, and does nothing."""
    use([sys.executable, "-c", "import stampede.blocks.backups.__main__"])


def _run(job: Job) -> Usage:
    return use([sys.executable, "-m", "stampede.blocks.backups"], stdin=job.model_dump_json())
