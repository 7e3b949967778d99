"""Images for tests of backups, and repositories to put them in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import Keys, create_repository
from stampede.backup.restore import restore
from stampede.backup.store import ObjectStore
from stampede.backup.tables import BLOCK
from stampede.backup.writer import About, BackupReport, Source, backup
from stampede.extents import Range
from tests.fakes.object_store import FakeStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Image:
    """A file that knows what of it was written since its last backup, as a reflink pool would."""

    path: Path
    size: int
    changed: set[int] = field(default_factory=set)
    base: int = 0
    base_size: int = 0

    def __post_init__(self) -> None:
        with self.path.open("wb") as file:
            file.truncate(self.size)

    def write(self, at: int, content: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(at)
            file.write(content[: self.size - at])
        self.changed |= set(range(at // BLOCK, -(-min(at + len(content), self.size) // BLOCK)))

    def punch(self, start: int, end: int) -> None:
        """Afterwards these bytes are a hole, as far as the file system likes."""
        with self.path.open("r+b") as file:
            content = file.read()
            file.seek(0)
            file.truncate(0)
            file.truncate(self.size)
            for at in range(0, self.size, BLOCK):
                block = content[at : at + BLOCK]
                kept = bytearray(block)
                low, high = max(start - at, 0), min(end - at, len(block))
                if low < high:
                    kept[low:high] = bytes(high - low)
                if any(kept):
                    file.seek(at)
                    file.write(kept)
        self.changed |= set(range(start // BLOCK, -(-min(end, self.size) // BLOCK)))

    def resize(self, size: int) -> None:
        with self.path.open("r+b") as file:
            file.truncate(size)
        self.changed |= set(range(size // BLOCK, -(-self.size // BLOCK)))  # it may grow again, with zeros there
        self.size = size

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    def data(self) -> list[Range]:
        """What is no hole, by SEEK_DATA."""
        ranges: list[Range] = []
        with self.path.open("rb") as file:
            at = 0
            while at < self.size:
                try:
                    start = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:
                    break
                at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                ranges.append(Range(start, at))
        return ranges

    def ranges(self) -> list[Range]:
        return [Range(number * BLOCK, (number + 1) * BLOCK) for number in sorted(self.changed)]

    def back_up(
        self, store: ObjectStore, keys: Keys, *, volume: str = "shop_db", rescan: bool = False, spec: str = "{}"
    ) -> BackupReport:
        """By what changed, unless it is the first one."""
        with self.path.open("rb") as file:
            known = self.base and not rescan
            changed = self.ranges() if known else None
            source = Source(file.fileno(), self.size, self.data(), changed, self.base, self.base_size)
            report = backup(store, keys, volume, source, About(created=NOW, origin="home", spec=spec))
        self.base, self.base_size, self.changed = report.backup, self.size, set()
        return report


def repository(store: ObjectStore | None = None) -> tuple[FakeStore, Keys]:
    fake = FakeStore() if store is None else store
    assert isinstance(fake, FakeStore)
    return fake, create_repository(fake, new_recovery_key(), NOW)


def restored(store: ObjectStore, keys: Keys, folder: Path, backup: int | None = None, volume: str = "shop_db") -> bytes:
    target = folder / "restored"
    target.unlink(missing_ok=True)
    restore(store, keys, volume, target, backup=backup)
    content = target.read_bytes()
    target.unlink()
    return content
