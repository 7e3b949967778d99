"""A backup as it can be read: its manifest, its tables and its chunks, some at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import islice

from stampede.backup.catalogue import find_backup
from stampede.backup.fetching import Fetcher, Wanted, read_chunks
from stampede.backup.log import Commit, Log, Snapshot
from stampede.backup.names import volume_folder
from stampede.backup.packs import MANIFEST_KIND, TABLE_KIND
from stampede.backup.repository import Keys
from stampede.backup.store import ObjectStore
from stampede.backup.tables import CHUNK, CHUNKS, Frame, Manifest, Table, decoded_manifest, decoded_table
from stampede.errors import Damaged

_TABLES = 32  # in memory at once
_PATCHED = 256  # chunks that are put together in memory at once, 16 MiB
SIDE_BY_SIDE = 4  # segments that are read together, because two writers have laid them down side by side


class OpenBackup:
    """One backup of a volume; the newest that can be read if none is named. May be used from several threads.

    `newer_lost` are commits behind it that cannot be read, and may have been backups.
    Raises: BackupError if there is none, UnknownName, Damaged, NewerFormat.
    """

    def __init__(
        self,
        store: ObjectStore,
        keys: Keys,
        volume: str,
        backup: int | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        own = keys.volume(volume_folder(volume))
        log = Log(store, own)
        head = log.head()
        self.commit: Commit = find_backup(log, head, volume, backup)
        assert self.commit.snapshot is not None
        self.snapshot: Snapshot = self.commit.snapshot
        self.newer_lost = tuple(sorted(seq for seq in log.broken if seq > self.commit.seq))
        self.fetcher = Fetcher(store, own, (head.sweep or log.sweep(head.sweep_at)).moved, cancelled)
        self._manifest: Manifest | None = None
        self._tables: dict[int, Table] = {}
        self._lock = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """Raises: Damaged."""
        if self._manifest is None:
            frame = self.snapshot.manifest
            self._manifest = decoded_manifest(self.fetcher.one(frame, MANIFEST_KIND)) if frame else Manifest({}, {})
        return self._manifest

    def tables(self, numbers: Iterable[int]) -> dict[int, Table | Damaged]:
        """Of these segments, those that are not zeros."""
        segments = self.manifest.segments
        return read_tables(self.fetcher, {segments[at].table: at for at in numbers if at in segments})

    def read_range(self, start: int, length: int) -> bytes:
        """Bytes of the volume, cut at its end; what is not in them is not fetched, but for whole frames.

        Raises: Damaged.
        """
        end = min(start + length, self.snapshot.size)
        if end <= start:
            return b""
        chunks = range(start // CHUNK, -(-end // CHUNK))
        content = bytearray(len(chunks) * CHUNK)

        def deliver(one: Wanted, chunk: memoryview) -> None:
            at = (one.chunk - chunks.start) * CHUNK
            content[at : at + CHUNK] = chunk

        def harmed(one: Wanted, frame: Frame, damage: Damaged) -> None:
            raise damage

        read_chunks(self.fetcher, self._wanted(chunks), deliver, harmed)
        return bytes(content[start - chunks.start * CHUNK : end - chunks.start * CHUNK])

    def _wanted(self, chunks: range) -> Iterator[Wanted]:
        for number in range(chunks.start // CHUNKS, (chunks.stop - 1) // CHUNKS + 1):
            table = self.table(number)
            first = number * CHUNKS
            for chunk in range(max(chunks.start - first, 0), min(chunks.stop - first, CHUNKS)):
                if chunk in table.entries:
                    yield wanted_chunk(table, first, chunk)

    def table(self, number: int) -> Table:
        """Of a segment, an empty one if it is zeros; those used last are kept in memory. Raises: Damaged."""
        with self._lock:
            table = self._tables.pop(number, None)
            if table is None:
                found = self.tables([number]).get(number, Table())
                if isinstance(found, Damaged):
                    raise found
                table = found
            self._tables[number] = table
            if len(self._tables) > _TABLES:
                del self._tables[next(iter(self._tables))]
            return table


def read_tables(fetcher: Fetcher, frames: dict[Frame, int]) -> dict[int, Table | Damaged]:
    """Tables by the number of their segment, or why they cannot be read."""
    tables: dict[int, Table | Damaged] = {}

    def arrived(frame: Frame, content: bytes | Damaged) -> None:
        tables[frames[frame]] = decoded(content)

    fetcher.many({frame: f"{TABLE_KIND} {number}" for frame, number in frames.items()}, arrived)
    return tables


def decoded(content: bytes | Damaged) -> Table | Damaged:
    if isinstance(content, Damaged):
        return content
    try:
        return decoded_table(content)
    except Damaged as damage:
        return damage


def wanted_chunk(table: Table, first: int, chunk: int) -> Wanted:
    """A chunk of the segment whose first chunk is number `first` of the volume."""
    return Wanted(first + chunk, table.entries[chunk], tuple(table.patches.get(chunk, ())))


def batches(numbers: Iterable[int]) -> Iterator[list[int]]:
    """As many segments as may have their tables in memory."""
    remaining = iter(sorted(numbers))
    while batch := list(islice(remaining, _TABLES)):
        yield batch


def portions(wanted: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """The same chunks, so many at once as are put together in bounded memory: those without patches take none.

    All that lie in one frame are in one portion, so that it is fetched once.
    """
    held: list[Wanted] = []
    patched = 0
    for one in sorted(wanted, key=lambda one: one.entry.frame):
        if patched >= _PATCHED and one.entry.frame != held[-1].entry.frame:
            yield held
            held, patched = [], 0
        held.append(one)
        patched += bool(one.patches)
    if held:
        yield held
