"""The pool of this host. The promises stand in contract.py.

Truth is on the things: a volume is what lies in the pool's file system (layout.py), mounted is what the kernel says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from stampede.blocks.volumes import ext4, mounts, snapshots
from stampede.blocks.volumes.arriving_volumes import ArrivingVolumes
from stampede.blocks.volumes.freezing import thaw_all
from stampede.blocks.volumes.layout import claimed, move, persist, remove_tree, write
from stampede.blocks.volumes.received import received
from stampede.blocks.volumes.restoring import put_back
from stampede.errors import BadInput, Foreign, InUse, Refused, StampedeError
from stampede.volumes.keeping import of_run
from stampede.volumes.labels import RUN
from stampede.volumes.models import (
    FoundManagedVolume,
    PoolStatus,
    Pressure,
    Snapshot,
    WantedVolume,
)
from stampede.volumes.names import check_volume_name, snapshot_id
from stampede.volumes.room import human, pressure, volume_size
from stampede.volumes.stall import BUDGET_S


class ImagePool(ArrivingVolumes):
    """Volumes as images in `places.pool`, mounted below `places.volumes`. `now` is the clock of ids and records."""

    def ensure_pool(self) -> PoolStatus:
        with self._changing(make=True):
            return self._status()

    def ensure_volume(self, wanted: WantedVolume) -> FoundManagedVolume:
        check_volume_name(wanted.name)
        size = volume_size(wanted.size_bytes)
        with self._changing(make=True):
            arriving = self._arrival(wanted.name)
            if arriving.complete.exists():
                with suppress(InUse):
                    arriving.finish()
            record = self._layout.record(wanted.name)
            if arriving.record and arriving.record.stack == wanted.stack and arriving.is_served:
                return self._found(arriving.record)
            if record is None:
                record = self._recorded(wanted, size)
                self._make(record, lambda image: ext4.make(image, size))
            elif record.stack != wanted.stack:
                raise Foreign(
                    f"volume {wanted.name} is of stack {record.stack}, not of {wanted.stack}", "give it another name"
                )
            self._images.mount(record)
            return self._found(record)

    def mount(self, volume: str) -> Path:
        with self._changing():
            return self._images.mount(self._layout.known(volume))

    def unmount(self, volume: str) -> bool:
        with self._changing():
            self._layout.known(volume)
            return self._images.unmount(volume)

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
        with self._changing():
            records = [self._layout.known(name) for name in sorted(set(volumes))]
            there = [self._layout.snapshots(record.name) for record in records]
            if run and (own := of_run(run, there)):
                return own
            taken = {one.id for of_volume in there for one in of_volume}
            if named and named in taken:
                return tuple(self._layout.known_snapshot(record.name, named) for record in records)
            if self._status().pressure == "hard":
                raise Refused(f"the pool of {self._host} is too full for a snapshot", "remove snapshots or volumes")
            now = self._now()
            return snapshots.take(
                self._layout,
                self._ground,
                records,
                {one.name: self._images.place(one.name) for one in records if self._images.is_mounted(one.name)},
                named=named or snapshot_id(now, taken),
                now=now,
                labels={**(labels or {}), **({RUN: run} if run else {})},
                freeze=freeze,
                budget_s=budget_s,
            )

    def snapshots(self, volume: str) -> tuple[Snapshot, ...]:
        self._ground.find()
        self._layout.known(volume)
        return tuple(self._layout.snapshots(volume))

    def snapshot_image(self, volume: str, snapshot: str) -> Path:
        self._ground.find()
        self._layout.known_snapshot(volume, snapshot)
        return self._layout.snapshot(volume, snapshot) / "image"

    def remove_snapshot(self, volume: str, snapshot: str) -> bool:
        with self._changing():
            self._layout.known(volume)
            return self._layout.discard(self._layout.snapshot(volume, snapshot))

    def clone(self, volume: str, snapshot: str, new: WantedVolume) -> FoundManagedVolume:
        check_volume_name(new.name)
        size, origin = volume_size(new.size_bytes), f"{volume}@{snapshot}"
        with self._changing():
            source = self._layout.known_snapshot(volume, snapshot)
            record = self._layout.record(new.name)
            if record is None:
                if size < source.size_bytes:
                    raise BadInput(f"{new.name} cannot be smaller than {origin}", f"it has {human(source.size_bytes)}")
                record = self._recorded(new, size).model_copy(update={"origin": origin})
                self._make(record, lambda image: self._copy(source, image, size))
            elif (record.stack, record.origin) != (new.stack, origin):
                raise Refused(f"there is a volume {new.name} already", "give the clone another name")
            self._images.mount(record)
            return self._found(record)

    @contextmanager
    def receive(self, new: WantedVolume, *, data_bytes: int = 0) -> Iterator[Path]:
        check_volume_name(new.name)
        size, making = volume_size(new.size_bytes), self._layout.making / new.name
        with self._changing(make=True):
            if self._layout.record(new.name):
                raise Refused(f"there is a volume {new.name} already", "restore to another name")
            self._refuse_filling(data_bytes, f"volume {new.name}")
            record = self._recorded(new, size)
            making.mkdir(mode=0o700)
            claim = claimed(making)
        assert claim is not None
        try:
            write(making / "volume.json", record)
            with (making / "image").open("xb") as file:
                file.truncate(size)
            yield making / "image"
            with self._changing():
                persist(making / "image")
                move(making, self._layout.volume(new.name))
                self._images.mount(record)
        finally:
            remove_tree(making)
            os.close(claim)

    def receive_snapshot(self, coming: Snapshot, *, data_bytes: int = 0) -> AbstractContextManager[Path]:
        return received(self._layout, coming, self._changing, lambda what: self._refuse_filling(data_bytes, what))

    def restore(self, volume: str, snapshot: str, *, safety: str = "") -> Snapshot:
        with self._changing():
            record = self._layout.known(volume)
            self._layout.known_snapshot(volume, snapshot)
            taken = {one.id for one in self._layout.snapshots(volume)}
            if safety not in taken:
                now = self._now()
                safety = safety or snapshot_id(now, taken)
                put_back(self._layout, self._ground, self._images, record, snapshot, safety, now)
            self._images.mount(record)
            return self._layout.known_snapshot(volume, safety)

    def resize(self, volume: str, size_bytes: int) -> FoundManagedVolume:
        size = volume_size(size_bytes)
        with self._changing():
            record = self._layout.known(volume)
            if size < record.size_bytes:
                raise Refused(
                    f"{volume} has {human(record.size_bytes)} and does not shrink to {human(size)}",
                    "make a smaller volume and copy what is in it",
                )
            if size > record.size_bytes:
                self._refuse_too_much(size - record.size_bytes, f"growing {volume} to {human(size)}")
            self._images.grow(record, size)
            record = record.model_copy(update={"size_bytes": size})
            write(self._layout.volume(volume) / "volume.json", record)
            self._images.mount(record)
            return self._found(record)

    def compact(self, volume: str) -> FoundManagedVolume:
        with self._changing():
            record, image = self._layout.known(volume), self._layout.image(volume)
            size, used = self._ground.sizes()
            if pressure(used + image.stat().st_blocks * 512, size) != "none":
                raise Refused(f"the pool of {self._host} has no room to compact {volume}", "remove snapshots first")
            self._images.unmount(volume)
            fresh = image.with_name("image.compact")
            self._ground.rewrite(image, fresh)
            persist(fresh)
            move(fresh, image)
            self._images.mount(record)
            return self._found(record)

    def trim(self, volume: str) -> int:
        self._ground.find()
        self._layout.known(volume)
        if not self._images.is_mounted(volume):
            raise Refused(f"{volume} is not mounted", "only a mounted volume can be trimmed")
        return mounts.trim(self._images.place(volume))

    def remove_volume(self, volume: str) -> bool:
        with self._changing():
            self._layout.record(volume)
            self._images.unmount(volume)
            removed = self._layout.discard(self._layout.volume(volume))
            mounts.remove_mount_point(self._images.place(volume))
            return removed

    def volumes(self, stack: str | None = None) -> tuple[FoundManagedVolume, ...]:
        if not self._ground.find():
            return ()
        return tuple(self._found(one) for one in self._layout.records() if stack in (None, one.stack))

    def status(self) -> PoolStatus | None:
        return self._status() if self._ground.find() else None

    def pressure(self) -> Pressure | None:
        if not self._ground.find():
            return None
        size, used = self._ground.sizes()
        return pressure(used, size)

    def bring_back(self) -> tuple[FoundManagedVolume, ...]:
        if not self._ground.find():
            return ()
        found = []
        thaw_all(Path(one.data).parent for one in self.volumes() if one.mounted)
        with self._changing():
            for record in self._layout.records():
                trouble = ""
                try:
                    self._images.mount(record)
                except (StampedeError, OSError) as error:
                    trouble = str(error)
                found.append(self._found(record, trouble))
        return tuple(found)
