"""A pool of plain directories that keeps the promises of `VolumePool`; tests/contract/test_volume_pool.py holds it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from stampede.errors import BadInput, Foreign, InUse, Refused, UnknownName
from stampede.volumes.keeping import of_run
from stampede.volumes.labels import REPLACED_BY, RUN
from stampede.volumes.models import (
    FoundManagedVolume,
    PoolSettings,
    PoolStatus,
    Pressure,
    Snapshot,
    VolumeRecord,
    WantedVolume,
)
from stampede.volumes.names import check_snapshot_id, check_volume_name, snapshot_id
from stampede.volumes.room import MIB, pressure, refuse_filling, refuse_too_much, reserved, room, volume_size
from stampede.volumes.stall import BUDGET_S, refuse_long_stall


class FakeVolumePool:
    """Volumes are directories below `root`. `busy` are volumes that something uses, `extents` how scattered they are.

    `used_bytes` is what the pool of `size_bytes` says it holds; `troubles` are volumes that cannot be mounted.
    """

    def __init__(
        self,
        root: Path,
        host: str = "h1",
        settings: PoolSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.busy: set[str] = set()
        self.mounted: set[str] = set()
        self.extents: dict[str, int] = {}
        self.troubles: dict[str, str] = {}
        self.size_bytes, self.used_bytes = 400 * MIB, 0
        self._root, self._host, self._now = root, host, now
        self._settings = settings or PoolSettings()
        self._made = False
        self._records: dict[str, VolumeRecord] = {}
        self._coming: dict[str, int] = {}
        self._arriving: dict[str, str] = {}
        self._hidden: dict[str, VolumeRecord] = {}
        self._snapshots: dict[str, dict[str, Snapshot]] = {}

    def ensure_pool(self) -> PoolStatus:
        self._made = True
        return self._status()

    def ensure_volume(self, wanted: WantedVolume) -> FoundManagedVolume:
        check_volume_name(wanted.name)
        size = volume_size(wanted.size_bytes)
        self._made = True
        if wanted.name in self._arriving:
            with suppress(Refused):
                return self.finish_arrival(wanted.name)
            return self._found(wanted.name)
        record = self._records.get(wanted.name)
        if record is None:
            self._add(wanted, size)
            self._data(wanted.name).mkdir(parents=True)
        elif record.stack != wanted.stack:
            raise Foreign(f"volume {wanted.name} is of stack {record.stack}")
        self.mounted.add(wanted.name)
        return self._found(wanted.name)

    def mount(self, volume: str) -> Path:
        self._known(volume)
        self.mounted.add(volume)
        return self._data(volume)

    def unmount(self, volume: str) -> bool:
        self._known(volume)
        self._refuse_busy(volume)
        was = volume in self.mounted
        self.mounted.discard(volume)
        return was

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
        names = sorted(set(volumes))
        taken = {one for name in names for one in self._snapshots[self._known(name).name]}
        if run and (own := of_run(run, [self.snapshots(name) for name in names])):
            return own
        if named and named in taken:
            return tuple(self._snapshot(name, named) for name in names)
        if self._status().pressure == "hard":
            raise Refused("the pool is too full for a snapshot")
        for name in names:
            refuse_long_stall(name, self.extents.get(name, 1), budget_s)
        made, still = named or snapshot_id(self._now(), taken), freeze or len(names) > 1
        labels = {**(labels or {}), **({RUN: run} if run else {})}
        return tuple(self._take(name, made, still, names, labels) for name in names)

    def snapshots(self, volume: str) -> tuple[Snapshot, ...]:
        return tuple(self._snapshots[self._known(volume).name].values())

    def snapshot_image(self, volume: str, snapshot: str) -> Path:
        return self._kept(self._snapshot(volume, snapshot))

    def remove_snapshot(self, volume: str, snapshot: str) -> bool:
        check_snapshot_id(snapshot)
        return self._snapshots[self._known(volume).name].pop(snapshot, None) is not None

    def clone(self, volume: str, snapshot: str, new: WantedVolume) -> FoundManagedVolume:
        check_volume_name(new.name)
        size, origin = volume_size(new.size_bytes), f"{volume}@{snapshot}"
        source, record = self._snapshot(volume, snapshot), self._records.get(new.name)
        if record is None:
            if size < source.size_bytes:
                raise BadInput(f"{new.name} cannot be smaller than {origin}")
            self._add(new, size, origin)
            shutil.copytree(self._kept(source), self._data(new.name))
        elif (record.stack, record.origin) != (new.stack, origin):
            raise Refused(f"there is a volume {new.name} already")
        self.mounted.add(new.name)
        return self._found(new.name)

    @contextmanager
    def receive(self, new: WantedVolume, *, data_bytes: int = 0) -> Iterator[Path]:
        check_volume_name(new.name)
        size = volume_size(new.size_bytes)
        if new.name in self._records or new.name in self._coming or new.name in self._arriving:
            raise Refused(f"there is a volume {new.name} already")
        refuse_filling(data_bytes, new.name, self.used_bytes, self.size_bytes)
        self._refuse_full(new.name, size)
        image = self._root / "making" / new.name
        image.parent.mkdir(exist_ok=True)
        with image.open("wb") as file:
            file.truncate(size)
        self._made = True
        self._coming[new.name] = size
        try:
            yield image
            del self._coming[new.name]
            self._add(new, size)
            self._data(new.name).mkdir(parents=True)
            self.mounted.add(new.name)
        finally:
            self._coming.pop(new.name, None)
            image.unlink()

    @contextmanager
    def receive_snapshot(self, coming: Snapshot, *, data_bytes: int = 0) -> Iterator[Path]:
        self._known(coming.volume)
        image = self._root / "making" / f"{coming.volume}@{coming.id}"
        if coming.id in self._snapshots[coming.volume] or image.parent.joinpath(f"{image.name}.comes").exists():
            raise Refused(f"{coming.volume} has a snapshot {coming.id} already")
        refuse_filling(data_bytes, "another snapshot", self.used_bytes, self.size_bytes)
        mark = image.with_name(f"{image.name}.comes")
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        try:
            yield image
            self._kept(coming).mkdir(parents=True)
            self._snapshots[coming.volume][coming.id] = coming
        finally:
            mark.unlink()
            image.unlink(missing_ok=True)

    def begin_arrival(self, new: WantedVolume, source: str, *, data_bytes: int = 0) -> Path:
        check_volume_name(new.name)
        size = volume_size(new.size_bytes)
        self._made, folder = True, self._root / "arriving" / new.name
        if new.name not in self._arriving:
            refuse_filling(data_bytes, new.name, self.used_bytes, self.size_bytes)
            self._add(new, size)
            self._arriving[new.name] = source
            self._hidden[new.name] = self._records.pop(new.name)
            folder.mkdir(parents=True)
        elif self._arriving[new.name] != source:
            raise Refused(f"volume {new.name} is arriving from elsewhere")
        return folder

    def mount_arrival(self, volume: str) -> Path:
        self._known_arrival(volume)
        self._data(volume).mkdir(parents=True, exist_ok=True)
        self.mounted.add(volume)
        return self._data(volume)

    def finish_arrival(self, volume: str) -> FoundManagedVolume:
        if volume not in self._records:
            folder = self._known_arrival(volume)
            if not (folder / "image.complete").exists():
                raise Refused(f"volume {volume} has not arrived yet")
            self._refuse_busy(volume)
            self.mount_arrival(volume)
            self._records[volume] = self._hidden[volume]
            self._forget_arrival(volume)
        return self._found(volume)

    def drop_arrival(self, volume: str) -> bool:
        if check_volume_name(volume) not in self._arriving:
            return False
        self._refuse_busy(volume)
        self._forget_arrival(volume)
        shutil.rmtree(self._data(volume).parent, ignore_errors=True)
        self.mounted.discard(volume)
        del self._snapshots[volume]
        return True

    def arrivals(self, stack: str | None = None) -> tuple[FoundManagedVolume, ...]:
        return tuple(self._found(name) for name, one in sorted(self._hidden.items()) if stack in (None, one.stack))

    def restore(self, volume: str, snapshot: str, *, safety: str = "") -> Snapshot:
        source = self._snapshot(volume, snapshot)
        if safety not in self._snapshots[volume]:
            if self._status().pressure == "hard":
                raise Refused(f"the pool is too full to restore {volume}")
            self._refuse_busy(volume)
            safety = safety or snapshot_id(self._now(), self._snapshots[volume])
            self.mounted.discard(volume)
            self._take(volume, safety, False, [volume], {REPLACED_BY: snapshot})
            shutil.rmtree(self._data(volume))
            shutil.copytree(self._kept(source), self._data(volume))
        self.mounted.add(volume)
        return self._snapshot(volume, safety)

    def resize(self, volume: str, size_bytes: int) -> FoundManagedVolume:
        size, record = volume_size(size_bytes), self._known(volume)
        if size < record.size_bytes:
            raise Refused(f"{volume} does not shrink")
        if size > record.size_bytes:
            refuse_too_much(size - record.size_bytes, volume, self.size_bytes, self._sizes(), self._settings)
        self._records[volume] = record.model_copy(update={"size_bytes": size})
        self.mounted.add(volume)
        return self._found(volume)

    def compact(self, volume: str) -> FoundManagedVolume:
        self._known(volume)
        if pressure(self.used_bytes, self.size_bytes) != "none":
            raise Refused("the pool has no room for that")
        self._refuse_busy(volume)
        self.extents.pop(volume, None)
        self.mounted.add(volume)
        return self._found(volume)

    def trim(self, volume: str) -> int:
        if self._known(volume).name not in self.mounted:
            raise Refused(f"{volume} is not mounted")
        return 0

    def remove_volume(self, volume: str) -> bool:
        check_volume_name(volume)
        if volume not in self._records:
            return False
        self._refuse_busy(volume)
        shutil.rmtree(self._data(volume).parent)
        self.mounted.discard(volume)
        del self._records[volume], self._snapshots[volume]
        return True

    def volumes(self, stack: str | None = None) -> tuple[FoundManagedVolume, ...]:
        return tuple(self._found(name) for name, one in sorted(self._records.items()) if stack in (None, one.stack))

    def status(self) -> PoolStatus | None:
        return self._status() if self._made else None

    def pressure(self) -> Pressure | None:
        return pressure(self.used_bytes, self.size_bytes) if self._made else None

    def bring_back(self) -> tuple[FoundManagedVolume, ...]:
        self.mounted = set(self._records) - set(self.troubles)
        return self.volumes()

    def _add(self, wanted: WantedVolume, size: int, origin: str = "") -> None:
        if wanted.name in self._records:
            raise Refused(f"there is a volume {wanted.name} already")
        if wanted.name in self._coming or wanted.name in self._arriving:
            raise Refused(f"volume {wanted.name} is being restored")
        self._refuse_full(wanted.name, size)
        self._records[wanted.name] = VolumeRecord(
            name=wanted.name,
            stack=wanted.stack,
            size_bytes=size,
            created=self._now(),
            origin=origin,
            labels=wanted.labels,
        )
        self._snapshots[wanted.name] = {}

    def _refuse_full(self, name: str, size: int) -> None:
        if self._status().pressure != "none":
            raise Refused("the pool is too full for another volume")
        refuse_too_much(size, name, self.size_bytes, self._sizes(), self._settings)

    def _take(self, name: str, made: str, still: bool, together: Sequence[str], labels: Mapping[str, str]) -> Snapshot:
        record, mounted = self._records[name], name in self.mounted
        snapshot = Snapshot(
            id=made,
            volume=name,
            stack=record.stack,
            created=self._now(),
            size_bytes=record.size_bytes,
            consistency="unmounted" if not mounted else "frozen" if still else "power-cut",
            together=tuple(together),
            extents=self.extents.get(name, 1),
            labels=dict(labels),
        )
        shutil.copytree(self._data(name), self._kept(snapshot))
        self._snapshots[name][made] = snapshot
        return snapshot

    def _known(self, volume: str) -> VolumeRecord:
        if record := self._records.get(check_volume_name(volume)):
            return record
        raise UnknownName(f"there is no managed volume {volume}")

    def _snapshot(self, volume: str, snapshot: str) -> Snapshot:
        check_snapshot_id(snapshot)
        if found := self._snapshots[self._known(volume).name].get(snapshot):
            return found
        raise UnknownName(f"{volume} has no snapshot {snapshot}")

    def _data(self, volume: str) -> Path:
        return self._root / "volumes" / volume / "data"

    def _kept(self, snapshot: Snapshot) -> Path:
        return self._root / "snapshots" / snapshot.volume / snapshot.id

    def _refuse_busy(self, volume: str) -> None:
        if volume in self.busy:
            raise InUse(f"{volume} is in use")

    def _sizes(self) -> list[int]:
        known = (*self._records.values(), *self._hidden.values())
        return [*(one.size_bytes for one in known), *self._coming.values()]

    def _known_arrival(self, volume: str) -> Path:
        if check_volume_name(volume) not in self._arriving:
            raise UnknownName(f"no volume {volume} is arriving")
        return self._root / "arriving" / volume

    def _forget_arrival(self, volume: str) -> None:
        shutil.rmtree(self._root / "arriving" / volume)
        del self._arriving[volume], self._hidden[volume]

    def _found(self, name: str) -> FoundManagedVolume:
        arriving = name in self._hidden
        return FoundManagedVolume(
            **(self._hidden if arriving else self._records)[name].model_dump(),
            host=self._host,
            used_bytes=0,
            data=str(self._data(name)),
            mounted=name in self.mounted,
            snapshots=len(self._snapshots[name]),
            trouble=self.troubles.get(name, ""),
            arriving=0.0 if arriving else None,
        )

    def _status(self) -> PoolStatus:
        return PoolStatus(
            host=self._host,
            driver="xfs",
            path=str(self._root),
            dedicated=True,
            size_bytes=self.size_bytes,
            used_bytes=self.used_bytes,
            reserved_bytes=reserved(self._sizes(), self._settings),
            room_bytes=room(self.size_bytes, self._sizes(), self._settings),
            volumes=len(self._records),
            snapshots=sum(map(len, self._snapshots.values())),
            pressure=pressure(self.used_bytes, self.size_bytes),
        )
