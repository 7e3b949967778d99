"""Object lock of what a backup needs: nobody who has the keys of the store can delete it for a time.

Everything is locked when it is written. What later backups need as well is locked for longer, all at once, and only
when less is left than a backup is promised: so each object at most once in half of that time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from stampede.backup.fetching import Moved
from stampede.backup.log import Commit, Snapshot
from stampede.backup.names import REPOSITORY, SLOTS, checkpoint_name, commit_name, pack_object
from stampede.backup.store import ObjectStore


class Locks:
    """Those of a new backup, which sets out from `base`."""

    def __init__(self, store: ObjectStore, folder: str, base: Snapshot | None) -> None:
        self._store, self._folder, self._began = store, folder, store.clock
        self._before = base.locked_until if base else None

    @property
    def is_due(self) -> bool:
        """Whether what the backup inherits has to be locked for longer."""
        return self._store.lock is not None and self._store.lock.is_due(self._before, self._began)

    def extend(self, head: Commit, inherited: Iterable[str], adopted: Iterable[str], moved: Moved) -> datetime | None:
        """Afterwards all that the backup needs is locked until the time returned; None if the store locks nothing.

        `inherited` are packs of the backup it sets out from, `adopted` those of interrupted runs.
        """
        if self._store.lock is None:
            return None
        end = self._store.lock.end(self._began)
        due = set(adopted)
        if self.is_due:
            due |= set(inherited)
        packs = {target for pack in due for target in _where(pack, moved)}
        names = [pack_object(self._folder, pack) for pack in sorted(packs)]
        names += self._of_the_log(head) if self.is_due else []
        self._store.extend_locks(names, end)
        return end if self._before is None or self.is_due else min(end, self._before)

    def _of_the_log(self, head: Commit) -> list[str]:
        """What has to be read to know of a backup, and to open it."""
        needed = {*range(head.checkpoint + 1, head.seq + 1), head.newest, head.sweep_at, head.harm_at} - {0}
        names = [commit_name(self._folder, seq) for seq in sorted(needed)]
        names += [checkpoint_name(self._folder, head.checkpoint)] if head.checkpoint else []
        return [*names, REPOSITORY, *(found.name for found in self._store.list(SLOTS))]


def _where(pack: str, moved: Moved) -> set[str]:
    """Where what was in a pack lies now."""
    return {frame.pack for frame in moved[pack].values()} if pack in moved else {pack}
