"""Hosts with a pool, the fake and real ones, as the contract of pools is held against them; and what is on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from stampede.blocks.volumes import VolumePool
from stampede.volumes.models import FoundManagedVolume
from tests.fakes.volumes import FakeVolumePool
from tests.lab.pools import wanted


class FakeHost:
    """A host whose pool is the fake."""

    def __init__(self, root: Path) -> None:
        self.fake = FakeVolumePool(root)
        self.pool: VolumePool = self.fake

    @contextmanager
    def in_use(self, volume: str) -> Iterator[None]:
        self.fake.busy.add(volume)
        yield
        self.fake.busy.remove(volume)

    def reboot(self) -> None:
        self.fake.mounted.clear()


class RealHost:
    """A host with a pool on a real file system."""

    def __init__(self, pool: VolumePool) -> None:
        self.pool = pool

    def in_use(self, volume: str) -> AbstractContextManager[object]:
        return (data(self, volume) / "held").open("w")

    def reboot(self) -> None:
        for volume in self.pool.volumes():
            self.pool.unmount(volume.name)


Host = FakeHost | RealHost


def data(host: Host, volume: str = "shop_uploads") -> Path:
    return next(Path(one.data) for one in host.pool.volumes() if one.name == volume)


def make(host: Host, name: str = "shop_uploads", content: str = "") -> FoundManagedVolume:
    found = host.pool.ensure_volume(wanted(name))
    if content:
        write(host, content, name)
    return found


def reserved(host: Host) -> int:
    status = host.pool.status()
    assert status is not None
    return status.reserved_bytes


def write(host: Host, content: str, volume: str = "shop_uploads") -> None:
    (data(host, volume) / "file").write_text(content)


def read(host: Host, volume: str = "shop_uploads") -> str:
    return (data(host, volume) / "file").read_text()
