"""What verbs of the pool of this host have in common: one change at a time, what may be promised, what is found.

Truth is on the things: a volume is what lies in the pool's file system (layout.py), mounted is what the kernel says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from stampede.blocks.sealed_files import one_at_a_time
from stampede.blocks.volumes import ext4
from stampede.blocks.volumes.arrivals import Arrival, settle_arrivals
from stampede.blocks.volumes.ground import Ground
from stampede.blocks.volumes.images import Images
from stampede.blocks.volumes.layout import Layout, move, persist, write
from stampede.blocks.volumes.recovery import fit, settle
from stampede.errors import Foreign, Refused
from stampede.places import Places
from stampede.volumes.models import (
    FoundManagedVolume,
    PoolSettings,
    PoolStatus,
    Snapshot,
    VolumeRecord,
    WantedVolume,
)
from stampede.volumes.room import human, pressure, refuse_filling, refuse_too_much, reserved, room


class PoolOfHost:
    """The images in `places.pool`, mounted below `places.volumes`. `now` is the clock of ids and records."""

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
            trouble=trouble or (arriving.trouble if arriving.record else self._images.trouble(record)),
            arriving=arriving.share if arriving.record else None,
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
