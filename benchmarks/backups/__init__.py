"""What the scenarios of volumes and backups share: the data, the store, and the two engines."""
