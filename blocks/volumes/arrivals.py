"""Volumes that are used while their content is still on its way, and are volumes like all others once it is there.

arriving/<volume>/volume.json, arrival.json   the volume to be, and where its content comes from
                  progress.json                how far whoever brings it is
                  image                        what has arrived, and what was written to it since
                  image.complete               an empty file: the image needs nothing from elsewhere any more
                  served                       all of the content, as a file of whoever has claimed the folder

Until then `served` is what is mounted where volumes are; from then on its image can be. It moves to the other volumes
when nobody uses it, or before anybody can after a reboot. Called under the pool's lock.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from stampede.blocks.detaching import detach
from stampede.blocks.volumes import ext4, loops, mounts
from stampede.blocks.volumes.ground import Ground
from stampede.blocks.volumes.layout import Layout, entries, is_claimed, move, persist, remove_tree, write
from stampede.blocks.volumes.recovery import fit
from stampede.errors import DaemonError, Refused, StampedeError, UnknownName
from stampede.frozen import Frozen
from stampede.volumes.models import VolumeRecord

COMPLETE = "image.complete"
_GONE_WITHIN_S = 20.0
_NOT_ALL = 0.99


class Origin(Frozen):
    """Where the content of a volume comes from, as who brings it calls that."""

    source: str


class Progress(Frozen):
    """How far a volume is that arrives. `trouble` is why something could not be read or fetched, the last time."""

    pid: int
    serving: bool = False
    complete: bool = False
    done_bytes: int = 0
    of_bytes: int = 0
    kind: str = ""
    trouble: str = ""
    hint: str = ""


def arrival_progress(folder: Path) -> Progress | None:
    """How far it is; None when nobody has begun, or it has become a volume."""
    try:
        return Progress.model_validate_json((folder / "progress.json").read_bytes())
    except FileNotFoundError:
        return None


class Arrival:
    """One volume that arrives in the folder of its name."""

    def __init__(self, layout: Layout, ground: Ground, place: Path, name: str) -> None:
        self._layout, self._ground, self._place, self._name = layout, ground, place, name
        self.folder = layout.arriving / name
        self.image, self.served = self.folder / "image", self.folder / "served"
        self.complete = self.folder / COMPLETE

    @property
    def record(self) -> VolumeRecord | None:
        """The volume to be; None when none of this name is arriving."""
        path = self.folder / "volume.json"
        return VolumeRecord.model_validate_json(path.read_bytes()) if path.is_file() else None

    @property
    def share(self) -> float:
        """How much of it is here, between 0 and 1; 1 only when nothing is missing."""
        if self.complete.exists():
            return 1.0
        found = arrival_progress(self.folder)  # what could not be had counts as done there
        return min(found.done_bytes / found.of_bytes, _NOT_ALL) if found and found.of_bytes else 0.0

    @property
    def trouble(self) -> str:
        """What keeps it from being used, or from being completed; "" when all is well."""
        if not self.is_served:
            return "nobody brings it: the restore that did has ended; run it again, or remove the volume"
        found = arrival_progress(self.folder)
        return found.trouble if found else ""

    def known(self) -> None:
        """Returns if it is arriving. Raises: UnknownName."""
        if self.record is None:
            raise UnknownName(f"no volume {self._name} is arriving on this host", "`stampede volume ls` lists them")

    @property
    def is_mounted(self) -> bool:
        """Whether it is, be whoever serves it alive or dead."""
        found = mounts.mount_at(self._place)
        return found is not None and loops.device_of(self.served) == Path(found.source)

    @property
    def is_brought(self) -> bool:
        """Whether somebody lives who brings it."""
        return is_claimed(self.folder)

    @property
    def is_served(self) -> bool:
        """Whether it can be used."""
        return self.is_mounted and self.is_brought

    def begin(self, record: VolumeRecord, source: str) -> None:
        """Afterwards the folder is there, and whoever brings the content can begin, or go on."""
        making = self._layout.making / self._name
        making.mkdir(mode=0o700)
        for name in ("image", "served"):
            (making / name).touch(mode=0o600)
        write(making / "arrival.json", Origin(source=source))
        write(making / "volume.json", record)
        move(making, self.folder)

    def require(self, source: str) -> None:
        """Returns if this is where its content comes from. Raises: Refused."""
        found = Origin.model_validate_json((self.folder / "arrival.json").read_bytes()).source
        if found != source:
            raise Refused(
                f"volume {self._name} is arriving from {found}, not from {source}", "wait for that, or remove it"
            )

    def clear_dead(self) -> None:
        """Afterwards nothing is mounted of one whose bringer has died. Raises: InUse while something uses that."""
        if not self.is_brought:
            mounts.unmount(self._place)
            detach(self.served)

    def mount(self) -> Path:
        """Afterwards it is mounted, its journal replayed by the kernel; returns the directory for containers."""
        if not self.is_mounted:
            mounts.ensure_mount_point(self._place)
            with loops.attached(self.served, direct_io=True) as device:
                mounts.mount(device, self._place, "ext4", ext4.MOUNT_OPTIONS)
        return self._place / ext4.DATA

    def finish(self) -> None:
        """Afterwards it is a volume like others, not mounted. Raises: Refused until it is complete, InUse."""
        if not self.complete.exists():
            raise Refused(f"volume {self._name} has not arrived yet", "wait until all of it is fetched")
        self._release()
        record = self.record
        assert record is not None
        fit(self.image, record.size_bytes, self._name)
        persist(self.image)
        for path in entries(self.folder):
            if path.name not in ("image", "volume.json", COMPLETE):
                path.unlink()
        move(self.folder, self._layout.volume(self._name))
        (self._layout.volume(self._name) / COMPLETE).unlink()

    def drop(self) -> bool:
        """Afterwards nothing of it is there; False if it was not. Raises: InUse while something uses it."""
        if not self.folder.exists():
            return False
        self._release()
        (self.folder / "volume.json").unlink(missing_ok=True)
        remove_tree(self.folder)
        mounts.remove_mount_point(self._place)
        return True

    def _release(self) -> None:
        """Afterwards it is not mounted, and who brought it has ended. What was written to it is on the disk."""
        mounts.unmount(self._place)
        detach(self.served)
        deadline = time.monotonic() + _GONE_WITHIN_S
        while self.is_brought:
            if time.monotonic() > deadline:
                raise DaemonError(f"the process that brings volume {self._name} does not end", "try again")
            time.sleep(0.02)


def settle_arrivals(layout: Layout, ground: Ground, mounted_at: Path) -> None:
    """Afterwards those that are complete and that nobody serves any more are volumes like others.

    Those that are not complete stay what they are, with all that was written to them, for whoever brings the rest.
    """
    for folder in entries(layout.arriving):
        arrival = Arrival(layout, ground, mounted_at / folder.name, folder.name)
        if arrival.record is None:
            remove_tree(folder)
        elif arrival.complete.exists() and not arrival.is_brought and mounts.mount_at(mounted_at / folder.name) is None:
            with suppress(StampedeError, OSError):  # one that cannot be mended; whoever finishes it is told
                arrival.finish()
