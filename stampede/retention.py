"""Which snapshots and backups are kept."""
