"""An image that is there before its content is: what is read is fetched first, what is written stays.

The file of the image is also the cache, so memory does not grow with what was read: one byte for each chunk says
whether the file has it. A chunk gets there once it was verified, or was written by whoever uses the image; from then on
only they change it. What the backup has no content for is zeros, and so is the hole in the file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from stampede.backup.fetching import Wanted, read_chunks
from stampede.backup.reader import SIDE_BY_SIDE, OpenBackup, batches, portions, wanted_chunk
from stampede.backup.tables import CHUNK, CHUNKS, FRAME, Frame
from stampede.errors import Cancelled, Damaged

Progress = Callable[[int, int], None]

_LOCKS = 64
_READERS_AHEAD = 4
_RUN = 2 * FRAME  # bytes read one after the other before more is fetched than asked for …
_AHEAD = 8 * FRAME // CHUNK  # … and how many chunks then


class LazyImage:
    """The image of a backup in `image`, a file of its size, open for reading and writing. May be used by many threads.

    `record` is a file too: which chunks were in the image at the last `sync`, so that the image can be opened again,
    whatever happened. Without one the image has to be new, and is worth nothing afterwards.

    All verbs raise Damaged when what they need cannot be read, StoreUnavailable, Cancelled, OSError.
    """

    def __init__(self, opened: OpenBackup, image: int, record: int | None = None) -> None:
        self.size = opened.snapshot.size
        self._opened, self._image, self._record = opened, image, record
        count = -(-self.size // CHUNK)
        known = os.pread(record, count, 0) if record is not None else b""
        self._there = bytearray(known.ljust(count, b"\0"))
        self._unrecorded: set[int] = set()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._bringing = [threading.Lock() for _ in range(_LOCKS)]
        self._noting, self._recording, self._looking = threading.Lock(), threading.Lock(), threading.Lock()
        self._threads = ThreadPoolExecutor(_READERS_AHEAD, "ahead")
        self._read_to = self._run = self._asked_to = 0

    def close(self) -> None:
        """Afterwards nothing is being fetched any more."""
        self._threads.shutdown(cancel_futures=True)

    def read(self, start: int, length: int) -> bytes:
        """As in a file: shorter at the end of the image."""
        end = min(start + length, self.size)
        if end <= start:
            return b""
        chunks = range(start // CHUNK, -(-end // CHUNK))
        for chunk in chunks:
            self._bring(chunk)
        self._look_ahead(start, end)
        return os.pread(self._image, end - start, start)

    def write(self, start: int, content: bytes | memoryview) -> None:
        """Afterwards the image has this content there. Raises: OSError too where the disk is full."""
        left = memoryview(content)[: max(self.size - start, 0)]
        while left:
            chunk = start // CHUNK
            part = left[: (chunk + 1) * CHUNK - start]
            if len(part) < min(CHUNK, self.size - chunk * CHUNK):
                self._bring(chunk)
            with self._locks[chunk % _LOCKS]:
                _write_all(self._image, part, start)
                self._note(chunk)
            left, start = left[len(part) :], start + len(part)

    def sync(self) -> None:
        """Afterwards all that was written before is on the disk, and would be found again."""
        if self._record is None:
            return
        with self._recording:
            with self._noting:
                fresh, self._unrecorded = self._unrecorded, set()
            try:
                os.fdatasync(self._image)
                for run in _runs(sorted(fresh)):
                    _write_all(self._record, memoryview(b"\1" * len(run)), run.start)
                os.fdatasync(self._record)
            except OSError:
                with self._noting:
                    self._unrecorded |= fresh
                raise

    def fill(self, progress: Progress = lambda done, of: None, cancelled: threading.Event | None = None) -> None:
        """Afterwards the file has all of the backup and needs it no more, on the disk.

        What can be read is there even if this raises Damaged for what cannot.
        """
        lost: list[Damaged] = []
        data, done = self._opened.snapshot.data_bytes, 0
        for batch in batches(self._opened.manifest.segments):
            for at in range(0, len(batch), SIDE_BY_SIDE):
                if cancelled is not None and cancelled.is_set():
                    raise Cancelled("cancelled while the rest of a volume was fetched")
                wanted: list[Wanted] = []
                for number in batch[at : at + SIDE_BY_SIDE]:
                    try:
                        table = self._opened.table(number)
                    except Damaged as damage:
                        lost.append(damage)
                        continue
                    done += len(table.entries) * CHUNK
                    chunks = (wanted_chunk(table, number * CHUNKS, chunk) for chunk in table.entries)
                    wanted += [one for one in chunks if not self._there[one.chunk]]
                for portion in portions(wanted):
                    lost += self._fetch(portion).values()
                self.sync()
                progress(min(done, data), data)
        if lost:
            raise lost[0]

    def _bring(self, chunk: int) -> None:
        """Afterwards the file has this chunk, and those that were stored together with it."""
        if self._there[chunk]:
            return
        number, place = divmod(chunk, CHUNKS)
        table, first = self._opened.table(number), number * CHUNKS
        if place not in table.entries:
            self._there[chunk] = 1  # zeros, as is the hole in the file
            return
        frame = table.entries[place].frame
        with self._bringing[hash(frame) % _LOCKS]:
            if self._there[chunk]:
                return  # somebody else brought it meanwhile
            together = (
                other
                for other, entry in table.entries.items()
                if entry.frame == frame and (other == place or other not in table.patches)
            )
            wanted = [wanted_chunk(table, first, other) for other in together if not self._there[first + other]]
            lost = self._fetch(wanted)
        if chunk in lost:
            raise lost[chunk]

    def _fetch(self, wanted: list[Wanted]) -> dict[int, Damaged]:
        """Afterwards the file has these chunks, unless they were written meanwhile; returned is what is damaged."""
        lost: dict[int, Damaged] = {}

        def deliver(one: Wanted, content: memoryview) -> None:
            at = one.chunk * CHUNK
            with self._locks[one.chunk % _LOCKS]:
                if not self._there[one.chunk]:
                    _write_all(self._image, content[: self.size - at], at)
                    self._note(one.chunk)

        def harmed(one: Wanted, frame: Frame, damage: Damaged) -> None:
            lost[one.chunk] = damage

        read_chunks(self._opened.fetcher, wanted, deliver, harmed)
        return lost

    def _note(self, chunk: int) -> None:
        with self._noting:
            self._there[chunk] = 1
            self._unrecorded.add(chunk)

    def _look_ahead(self, start: int, end: int) -> None:
        """Who has read a while from front to back has what comes next fetched meanwhile."""
        with self._looking:
            follows = abs(start - self._read_to) <= FRAME
            self._run = self._run + end - start if follows else 0
            self._read_to = end
            begin = -(-end // CHUNK)
            if not follows:
                self._asked_to = 0
            if self._run <= _RUN:
                return
            ahead = range(max(begin, self._asked_to), min(begin + _AHEAD, len(self._there)))
            self._asked_to = max(self._asked_to, ahead.stop)
        for chunk in ahead:
            if not self._there[chunk]:
                self._threads.submit(self._bring, chunk)


def _write_all(file: int, content: memoryview, at: int) -> None:
    while content:
        written = os.pwrite(file, content, at)
        content, at = content[written:], at + written


def _runs(chunks: list[int]) -> Iterator[range]:
    """Chunks that follow each other, together."""
    begin = 0
    for at in range(1, len(chunks) + 1):
        if at == len(chunks) or chunks[at] != chunks[at - 1] + 1:
            yield range(chunks[begin], chunks[at - 1] + 1)
            begin = at
