"""The verbs of a host's pool of managed volumes, and what each promises. ImagePool keeps them, and so does the fake.

Every verb blocks, holds the host's pool lock while it changes something, and may be killed at any point: the next one
first finishes or undoes what was left, so that a volume or snapshot is either whole or not there. Errors: UnknownName
for a volume or snapshot that is not there, Foreign for what is not ours, Refused when nothing was changed, DaemonError
for what the kernel or a program would not do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from stampede.volumes.models import FoundManagedVolume, PoolStatus, Pressure, Snapshot, WantedVolume
from stampede.volumes.stall import BUDGET_S


class VolumePool(Protocol):
    """The volumes of one host. `data`, which containers bind, is a directory that is there only while its volume is."""

    def ensure_pool(self) -> PoolStatus:
        """Afterwards there is a pool: a directory whose file system clones files, else a file with such a one.

        Raises: BadInput when the disk has no room for one, Foreign when something else is in its place.
        """
        ...

    def ensure_volume(self, wanted: WantedVolume) -> FoundManagedVolume:
        """Afterwards the volume is there and mounted; a new one is empty. One that is there keeps its size and content.

        One that arrives is returned as it is; once all of it is here and nothing uses it, it becomes one like others.
        Raises: Foreign when it is of another stack, Refused when the pool cannot promise its size, BadInput.
        """
        ...

    def mount(self, volume: str) -> Path:
        """Afterwards it is mounted; returns the directory that containers bind.

        A file system that was not left clean is mended first. Raises: DaemonError when that takes a person to decide,
        or the image is cut off; the volume is left as it is then.
        """
        ...

    def unmount(self, volume: str) -> bool:
        """Afterwards it is not mounted; False if it was not. Raises: InUse while something uses it."""
        ...

    def snapshot(
        self,
        volumes: Sequence[str],
        *,
        named: str = "",
        run: str = "",
        labels: Mapping[str, str] | None = None,
        freeze: bool = False,
        budget_s: float = BUDGET_S,
    ) -> tuple[Snapshot, ...]:
        """Afterwards each volume has a snapshot of one and the same moment, with one id; all of them or none.

        One volume is not frozen unless asked for: its snapshot is what a power cut would leave. Several always are,
        together, and are thawed whatever happens. `named` is an id chosen before (names.snapshot_id), `run` is who
        takes it and becomes a label; with either of them twice is once. Raises: Refused when writers would wait longer
        than `budget_s`, or the pool is too full; Transient when the freeze did not hold.
        """
        ...

    def snapshots(self, volume: str) -> tuple[Snapshot, ...]:
        """Oldest first."""
        ...

    def snapshot_image(self, volume: str, snapshot: str) -> Path:
        """The image of a snapshot, which never changes; for reading only."""
        ...

    def remove_snapshot(self, volume: str, snapshot: str) -> bool:
        """Afterwards it is gone; False if it was. The volume and its other snapshots are as before."""
        ...

    def clone(self, volume: str, snapshot: str, new: WantedVolume) -> FoundManagedVolume:
        """Afterwards `new` is a volume of its own with the content of the snapshot, mounted, and not smaller than it.

        Raises: Refused when there is another volume of that name, or the pool cannot promise its size; BadInput.
        """
        ...

    def receive(self, new: WantedVolume, *, data_bytes: int = 0) -> AbstractContextManager[Path]:
        """A volume whose content comes from elsewhere, such as a backup: the path of an image to be written.

        It is a file of the volume's size without data; what is written has an ext4 with the directory `data`. After the
        context the volume is there and mounted; if it raises or is killed, nothing is. Other verbs go on meanwhile.
        `data_bytes` is how much of it will not be zeros.
        Raises: Refused when there is, or comes, a volume of that name, or the pool cannot promise its size, or would
        need relief with `data_bytes` more in it; BadInput.
        """
        ...

    def receive_snapshot(self, coming: Snapshot, *, data_bytes: int = 0) -> AbstractContextManager[Path]:
        """A snapshot whose content comes from elsewhere, such as a backup: the path at which its image is to be put.

        After the context the volume has this snapshot; if it raises or is killed, it does not. Other verbs go on
        meanwhile. Raises: UnknownName for the volume, Refused when it has or gets a snapshot of this id, or the pool
        would need relief with `data_bytes` more in it.
        """
        ...

    def begin_arrival(self, new: WantedVolume, source: str, *, data_bytes: int = 0) -> Path:
        """The folder (arrivals.py) of a volume whose content is to come from `source`, begun or gone on with.

        Such a volume is used while it arrives. It is none of `volumes` until it is finished, and none of the verbs
        about those is for it but `ensure_volume`. `data_bytes` as in `receive`. Raises: Refused when there is a volume
        of that name, when there is no room, or when it arrives from elsewhere; InUse when who brought it has died, and
        something uses what is left of it; BadInput.
        """
        ...

    def mount_arrival(self, volume: str) -> Path:
        """Afterwards a volume that somebody brings can be used; returns the directory for containers.

        Raises: UnknownName.
        """
        ...

    def finish_arrival(self, volume: str) -> FoundManagedVolume:
        """Afterwards it is a volume like others, and mounted; twice is once.

        Raises: UnknownName, Refused until it is complete, InUse while something uses it.
        """
        ...

    def drop_arrival(self, volume: str) -> bool:
        """Afterwards it is not arriving, and nothing of it is left; False if it was not. Raises: InUse."""
        ...

    def arrivals(self, stack: str | None = None) -> tuple[FoundManagedVolume, ...]:
        """Those that arrive on the host, or for a stack, by name, each with how much of it is here."""
        ...

    def restore(self, volume: str, snapshot: str, *, safety: str = "") -> Snapshot:
        """Afterwards the volume has the content of its snapshot, and is mounted. Its size stays what it is.

        What it held until then is kept as a snapshot, which is returned. `safety` is an id for that one, chosen
        before, and with it twice is once. Raises: InUse while something uses the volume, Refused when the pool is too
        full, DaemonError when the snapshot cannot be mended, OSError; then the volume is as it was.
        """
        ...

    def resize(self, volume: str, size_bytes: int) -> FoundManagedVolume:
        """Afterwards it has this size, in whole MiB, and is mounted; in use all the while where the kernel can.

        Raises: Refused when it would shrink or the pool cannot promise that much, InUse when it is used and the
        kernel grows only what is not.
        """
        ...

    def compact(self, volume: str) -> FoundManagedVolume:
        """Afterwards its image lies in few extents, so that snapshots of it are quick again; it is mounted.

        It shares nothing with its snapshots any more, so all of it takes room anew. Raises: Refused while something
        uses it, or when the pool has no room for that.
        """
        ...

    def trim(self, volume: str) -> int:
        """Gives room of deleted files back to the pool; returns how many bytes that may be. It must be mounted."""
        ...

    def remove_volume(self, volume: str) -> bool:
        """Afterwards it is gone with all its snapshots; False if it was. Raises: InUse while something uses it."""
        ...

    def volumes(self, stack: str | None = None) -> tuple[FoundManagedVolume, ...]:
        """All of the host, or of a stack, by name; none where there is no pool."""
        ...

    def status(self) -> PoolStatus | None:
        """How the pool is; None where there is none yet."""
        ...

    def pressure(self) -> Pressure | None:
        """How urgently it needs room; None where there is none yet. So cheap that it may be asked every second."""
        ...

    def bring_back(self) -> tuple[FoundManagedVolume, ...]:
        """After a boot, and whenever a worker starts: all volumes are mounted and none is frozen.

        What a killed verb left is finished or undone. A volume that cannot be mounted has its `trouble`; the others
        are mounted nevertheless.
        """
        ...
