"""Backups in a process of their own, which can be cancelled, and whose memory goes with it.

Looking into a backup is in opened.py, copying out of it in copying.py, using it as a volume at once in arriving.py:
they need the pool of volumes, which the process does without.
"""

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
