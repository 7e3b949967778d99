"""The pool of this host. The promises stand in contract.py.

Truth is on the things: a volume is what lies in the pool's file system (layout.py), mounted is what the kernel says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stampede.blocks.sealed_files import one_at_a_time
from stampede.blocks.volumes import ext4, mounts, snapshots
from stampede.blocks.volumes.arrivals import Arrival, settle_arrivals
from stampede.blocks.volumes.freezing import thaw_all
from stampede.blocks.volumes.ground import Ground
from stampede.blocks.volumes.images import Images
from stampede.blocks.volumes.layout import Layout, claimed, move, persist, remove_tree, write
from stampede.blocks.volumes.received import received
from stampede.blocks.volumes.recovery import fit, settle
from stampede.blocks.volumes.restoring import put_back
from stampede.errors import BadInput, Foreign, Refused, StampedeError
from stampede.places import Places
from stampede.volumes.keeping import of_run
from stampede.volumes.labels import RUN
from stampede.volumes.models import (
    FoundManagedVolume,
    PoolSettings,
    PoolStatus,
    Pressure,
    Snapshot,
    VolumeRecord,
    WantedVolume,
)
from stampede.volumes.names import check_volume_name, snapshot_id
from stampede.volumes.room import human, pressure, refuse_filling, refuse_too_much, reserved, room, volume_size
from stampede.volumes.stall import BUDGET_S


class ImagePool:
    """Volumes as images in `places.pool`, mounted below `places.volumes`. `now` is the clock of ids and records."""

    def __init__(
        self,
        places: Places,
        host: str,
        settings: PoolSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._places, self._host, self._now = places, host, now
        self._settings = settings or PoolSettings()
        self._ground = Ground(places, self._settings)
        self._layout = Layout(places.pool)
        self._images = Images(places.volumes, self._layout, self._ground)

    def ensure_pool(self) -> PoolStatus:
        with self._changing(make=True):
            return self._status()

    def ensure_volume(self, wanted: WantedVolume) -> FoundManagedVolume:
        check_volume_name(wanted.name)
        size = volume_size(wanted.size_bytes)
        with self._changing(make=True):
            record = self._layout.record(wanted.name)
            arriving = self._arrival(wanted.name)
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

    def begin_arrival(self, new: WantedVolume, source: str) -> Path:
        """The folder (arrivals.py) of a volume whose content is to come from `source`, begun or gone on with.

        Raises: Refused when there is such a volume, when there is no room, or when it arrives from elsewhere; InUse
        when who brought it has died, and something uses what is left of it.
        """
        check_volume_name(new.name)
        with self._changing(make=True):
            arrival = self._arrival(new.name)
            if arrival.record is None:
                if self._layout.record(new.name):
                    raise Refused(f"there is a volume {new.name} already", "restore to another name")
                arrival.begin(self._recorded(new, volume_size(new.size_bytes)), source)
            arrival.require(source)
            arrival.clear_dead()
            return arrival.folder

    def mount_arrival(self, volume: str) -> Path:
        """Afterwards a volume that is being brought can be used; returns the directory for containers."""
        with self._changing():
            return self._arrival(volume).mount()

    def finish_arrival(self, volume: str) -> FoundManagedVolume:
        """Afterwards it is a volume like others, and mounted. Raises: Refused until it is complete, InUse."""
        with self._changing():
            if self._layout.record(volume) is None:
                self._arrival(volume).finish()
            record = self._layout.known(volume)
            self._images.mount(record)
            return self._found(record)

    def drop_arrival(self, volume: str) -> bool:
        """Afterwards it is not arriving any more, and nothing of it is left; False if it was not. Raises: InUse."""
        with self._changing():
            return self._arrival(volume).drop()

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

    @contextmanager
    def _changing(self, *, make: bool = False) -> Iterator[None]:
        """One change of the pool at a time, from a settled state. With `make` there is a pool afterwards."""
        self._places.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with one_at_a_time(self._places.state / "pool.lock"):
            if make:
                self._ground.ensure()
            if self._ground.find() or make:
                settle(self._layout, self._ground, self._places.volumes)
                settle_arrivals(self._layout, self._ground, self._places.volumes)
            yield

    def _arrival(self, volume: str) -> Arrival:
        return Arrival(self._layout, self._ground, self._images.place(volume), volume)

    def _recorded(self, wanted: WantedVolume, size: int) -> VolumeRecord:
        """The record of a new volume, for which there is room. Raises: Refused."""
        if (self._layout.making / wanted.name).exists() or (self._layout.arriving / wanted.name).exists():
            raise Refused(f"volume {wanted.name} is being restored from elsewhere", "wait for that, or cancel it")
        if self._status().pressure != "none":
            raise Refused(f"the pool of {self._host} is too full for another volume", "remove snapshots or volumes")
        self._refuse_too_much(size, f"volume {wanted.name} of {human(size)}")
        return VolumeRecord(
            name=wanted.name, stack=wanted.stack, size_bytes=size, created=self._now(), labels=wanted.labels
        )

    def _make(self, record: VolumeRecord, fill: Callable[[Path], None]) -> None:
        making = self._layout.making / record.name
        making.mkdir(mode=0o700)
        fill(making / "image")
        persist(making / "image")
        write(making / "volume.json", record)
        move(making, self._layout.volume(record.name))

    def _copy(self, source: Snapshot, image: Path, size: int) -> None:
        self._ground.clone(self._layout.snapshot(source.volume, source.id) / "image", image)
        fit(image, size, source.volume)

    def _found(self, record: VolumeRecord, trouble: str = "") -> FoundManagedVolume:
        arriving = self._arrival(record.name)
        image = arriving.image if arriving.record else self._layout.image(record.name)
        mounted = False
        try:
            mounted = arriving.is_served or self._images.is_mounted(record.name)
        except Foreign as error:
            trouble = str(error)
        return FoundManagedVolume(
            **record.model_dump(),
            host=self._host,
            used_bytes=image.stat().st_blocks * 512 if image.is_file() else 0,
            data=str(self._images.place(record.name) / ext4.DATA),
            mounted=mounted,
            snapshots=len(self._layout.snapshots(record.name)),
            trouble=trouble or ("" if arriving.record else self._images.trouble(record)),
        )

    def _refuse_filling(self, more: int, what: str) -> None:
        size, used = self._ground.sizes()
        refuse_filling(more, what, used, size)

    def _refuse_too_much(self, more: int, what: str) -> None:
        refuse_too_much(more, what, self._promisable(), self._promised(), self._settings)

    def _promised(self) -> list[int]:
        return [one.size_bytes for one in (*self._layout.records(), *self._layout.coming())]

    def _promisable(self) -> int:
        """How many bytes volumes can come to have, all together.

        On a disk that others write to that is what is free on it and what volumes have already; blocks that a clone
        shares with its origin are not counted twice.
        """
        size, used = self._ground.sizes()
        if self._ground.dedicated:
            return size
        own = [self._layout.image(one.name) for one in self._layout.records() if not one.origin]
        return size - used + sum(image.stat().st_blocks * 512 for image in own if image.is_file())

    def _status(self) -> PoolStatus:
        size, used = self._ground.sizes()
        records = self._layout.records()
        plain = self._ground.driver == "plain"
        return PoolStatus(
            host=self._host,
            driver=self._ground.driver,
            path=str(self._places.pool),
            dedicated=self._ground.dedicated,
            size_bytes=size,
            used_bytes=used,
            reserved_bytes=reserved(self._promised(), self._settings),
            room_bytes=room(self._promisable(), self._promised(), self._settings),
            volumes=len(records),
            snapshots=sum(len(self._layout.snapshots(one.name)) for one in records),
            pressure=pressure(used, size),
            degraded="snapshots copy all data, and writers wait for it" if plain else "",
        )
