"""Backups in a process of their own, which can be cancelled, and whose memory goes with it."""

from stampede.blocks.backups.copying import CopyReport, copy_out
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
from stampede.blocks.backups.opened import OpenedBackup, opened_backup
from stampede.blocks.backups.place import clear_opened
from stampede.blocks.backups.process import run_job

__all__ = [
    "Answer",
    "BackupJob",
    "CopyReport",
    "Job",
    "ListJob",
    "OpenedBackup",
    "PruneJob",
    "RepositoryAccess",
    "RestoreJob",
    "SpecJob",
    "VerifyJob",
    "clear_opened",
    "copy_out",
    "opened_backup",
    "run_job",
]
