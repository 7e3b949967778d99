"""Backups in a process of their own, which can be cancelled, and whose memory goes with it."""

from stampede.blocks.backups.jobs import (
    Answer,
    BackupJob,
    Job,
    ListJob,
    PruneJob,
    RepositoryAccess,
    RestoreJob,
    SpecJob,
    VerifyJob,
)
from stampede.blocks.backups.process import run_job

__all__ = [
    "Answer",
    "BackupJob",
    "Job",
    "ListJob",
    "PruneJob",
    "RepositoryAccess",
    "RestoreJob",
    "SpecJob",
    "VerifyJob",
    "run_job",
]
