"""Out of a store into a volume that is used at once, while the rest of it is fetched by a process of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from prefect import get_run_logger, task

from stampede.backup.views import BackupView, VolumeArrived
from stampede.blocks.backups import RepositoryAccess
from stampede.blocks.backups.arriving import ensure_arriving
from stampede.blocks.backups.into_pool import RESTORED_FROM
from stampede.errors import Cancelled, DaemonError, InUse, Refused, UnknownName
from stampede.tasks.backup_jobs import RETRY_STORE, shown_while
from stampede.tasks.backups import ready_store
from stampede.tasks.pool import show_to_docker
from stampede.tasks.this_host import ThisHost, this_host
from stampede.tasks.threads import in_thread
from stampede.volumes.models import FoundManagedVolume, WantedVolume
from stampede.volumes.views import key_of

_LOOKED_EVERY_S = 0.5


@task(task_run_name="let {wanted.name} be used while it comes out of {view.name}@{view.backup}", **RETRY_STORE)
async def begin_bringing(view: BackupView, wanted: WantedVolume) -> FoundManagedVolume:
    """Afterwards `wanted` can be used, here and by Docker, and holds what the backup does. Twice is once.

    Whoever reads what is not here yet waits until it is fetched. Raises: Refused when another volume has that name or
    the pool cannot promise its size; InUse when who brought it has died and something uses it; Damaged,
    StoreUnavailable.
    """
    host, store = this_host(), await ready_store(view.store)
    found = await in_thread(_Bringing(host, store.access, view, wanted).usable)
    await in_thread(show_to_docker, host, found)
    return found


@task(task_run_name="fetch the rest of {wanted.name}", **RETRY_STORE)
async def bring_rest(view: BackupView, wanted: WantedVolume) -> VolumeArrived:
    """Afterwards all of it is here, and it is a volume like others, unless something uses it: then it is one when it is
    next deployed while nothing does, or after a reboot. Twice is once.

    A run that is cancelled leaves nothing of a volume that nothing uses. Raises: as above.
    """
    host, store, began = this_host(), await ready_store(view.store), time.monotonic()
    found = await shown_while(f"arrival of {wanted.name}", _Bringing(host, store.access, view, wanted).to_the_end)
    return VolumeArrived(
        volume=f"{wanted.stack}/{key_of(found)}",
        from_volume=view.name,
        backup=view.backup,
        created=view.created,
        host=host.name,
        size_bytes=view.size_bytes,
        finished=found.arriving is None,
        duration_s=round(time.monotonic() - began, 3),
    )


class _Bringing:
    """One volume that a process of its own brings, and who looks after that."""

    def __init__(self, host: ThisHost, access: RepositoryAccess, view: BackupView, wanted: WantedVolume) -> None:
        self._host, self._pool, self._access, self._view = host, host.pool, access, view
        self._origin = f"{access.repository}/{view.name}@{view.backup}"
        self._wanted = wanted.model_copy(update={"labels": {**wanted.labels, RESTORED_FROM: self._origin}})

    def usable(self) -> FoundManagedVolume:
        """The volume, which is mounted: it arrives, or has arrived before."""
        before = self._found()
        if before and before.arriving is None and before.labels.get(RESTORED_FROM) == self._origin:
            self._pool.mount(before.name)
        else:
            view = self._view
            ensure_arriving(self._pool, self._wanted, self._access, view.name, view.backup, data_bytes=view.data_bytes)
        return self._still_there()

    def to_the_end(self, tell: Callable[[int, int], None], cancelled: threading.Event) -> FoundManagedVolume:
        """The volume, all of which is here. Raises: Cancelled."""
        found, log, told = self.usable(), get_run_logger(), ""
        while True:
            if not found.mounted:  # who brought it has died, or it is being removed at this moment
                self._pool.ensure_pool()  # which waits for whoever changes the pool
                self._still_there()
                found = self.usable()
            if found.arriving is None:
                return found
            if found.arriving == 1.0:
                return self._finished(found)
            if found.trouble != told:
                told = found.trouble
                log.warning("%s: %s", found.name, told or "it goes on")
            tell(int(found.arriving * found.size_bytes), found.size_bytes)
            if cancelled.wait(_LOOKED_EVERY_S):
                self._drop()
                raise Cancelled(f"the restore of {self._wanted.name} was cancelled")
            found = self._still_there()

    def _drop(self) -> None:
        """Afterwards nothing is left of it, unless something uses it: then that goes on, and so does what brings it."""
        with suppress(InUse):
            self._pool.drop_arrival(self._wanted.name)
            with suppress(Refused, DaemonError):  # a container that does not run has it
                self._host.docker.volumes.remove_volume(self._wanted.name, cluster=self._host.cluster)

    def _finished(self, found: FoundManagedVolume) -> FoundManagedVolume:
        try:
            return self._pool.finish_arrival(found.name)
        except InUse:
            return found

    def _still_there(self) -> FoundManagedVolume:
        """The volume. Raises: UnknownName when somebody has removed it."""
        found = self._found()
        if found is None:
            raise UnknownName(f"volume {self._wanted.name} was removed while it was restored", "restore it again")
        return found

    def _found(self) -> FoundManagedVolume | None:
        stack = self._wanted.stack
        known = (*self._pool.volumes(stack), *self._pool.arrivals(stack))
        return next((one for one in known if one.name == self._wanted.name), None)
