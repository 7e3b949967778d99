"""The verbs of the pool about volumes that are used while their content is still on its way (arrivals.py)."""

from __future__ import annotations

from pathlib import Path

from stampede.blocks.volumes.pool_of_host import PoolOfHost
from stampede.errors import Refused
from stampede.volumes.models import FoundManagedVolume, WantedVolume
from stampede.volumes.names import check_volume_name
from stampede.volumes.room import volume_size


class ArrivingVolumes(PoolOfHost):
    """A pool, as far as volumes arrive in it."""

    def begin_arrival(self, new: WantedVolume, source: str, *, data_bytes: int = 0) -> Path:
        check_volume_name(new.name)
        with self._changing(make=True):
            arrival = self._arrival(new.name)
            if arrival.record is None:
                if self._layout.record(new.name):
                    raise Refused(f"there is a volume {new.name} already", "restore to another name")
                self._refuse_filling(data_bytes, f"volume {new.name}")
                arrival.begin(self._recorded(new, volume_size(new.size_bytes)), source)
            arrival.require(source)
            arrival.clear_dead()
            return arrival.folder

    def mount_arrival(self, volume: str) -> Path:
        with self._changing():
            arrival = self._arrival(check_volume_name(volume))
            arrival.known()
            return arrival.mount()

    def finish_arrival(self, volume: str) -> FoundManagedVolume:
        with self._changing():
            if self._layout.record(volume) is None:
                arrival = self._arrival(volume)
                arrival.known()
                arrival.finish()
            record = self._layout.known(volume)
            self._images.mount(record)
            return self._found(record)

    def drop_arrival(self, volume: str) -> bool:
        with self._changing():
            return self._arrival(check_volume_name(volume)).drop()

    def arrivals(self, stack: str | None = None) -> tuple[FoundManagedVolume, ...]:
        if not self._ground.find():
            return ()
        return tuple(self._found(one) for one in self._layout.arriving_records() if stack in (None, one.stack))
