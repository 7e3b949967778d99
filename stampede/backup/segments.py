"""One segment of an image against what is stored of it: what differs is added to packs, and its table says so."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from stampede.backup.adoption import Adoption, Sent
from stampede.backup.log import Harm
from stampede.backup.packs import CHUNKS_KIND, PATCHES_KIND, PackWriter, Piece
from stampede.backup.scope import Look, runs
from stampede.backup.sealing import VolumeKeys
from stampede.backup.tables import (
    ALL_BLOCKS,
    BLOCK,
    BLOCKS,
    CHUNK,
    CHUNKS,
    FRAME,
    MOST_PATCHES,
    Entry,
    Frame,
    Patch,
    Table,
)

_ZEROS = bytes(CHUNK)
_MOST_PATCHED_BLOCKS = BLOCKS // 2
_CHUNKS_PER_FRAME = FRAME // CHUNK
_BLOCKS_PER_FRAME = FRAME // BLOCK


@dataclass
class Tally:
    """What a segment, or several, came to."""

    changed_bytes: int = 0
    data_bytes: int = 0  # how much more is stored as not zeros than before; may be negative
    read_bytes: int = 0

    def add(self, other: Tally) -> None:
        self.changed_bytes += other.changed_bytes
        self.data_bytes += other.data_bytes
        self.read_bytes += other.read_bytes


class _Waiting(NamedTuple):
    """Part of a chunk that goes into the next frame."""

    chunk: int
    mask: int
    name: bytes
    content: bytes | memoryview


class SegmentWriter:
    """Writes segments of one image, of `size` bytes, open as `image`. May be used from several threads."""

    def __init__(
        self,
        image: int,
        size: int,
        keys: VolumeKeys,
        packs: PackWriter,
        adoption: Adoption,
        harm: Harm,
        stop_if_cancelled: Callable[[], None],
    ) -> None:
        self._image, self._size, self._keys = image, size, keys
        self.zeros = keys.name(_ZEROS)
        self._packs, self._adoption, self._harm = packs, adoption, harm
        self.stop_if_cancelled = stop_if_cancelled

    def write(self, look: Look, table: Table) -> tuple[bool, Tally]:
        """Afterwards `table` has the content of the image, and all frames it names are on their way.

        True if it differs from what it was. What lies in frames known as damaged is sent again.
        """
        return _Segment(self, look, table).write()

    def harmed(self, frame: Frame) -> bool:
        return frame.pack in self._harm.packs or (frame.pack, frame.offset) in self._harm.frames

    def announce(self, segment: int, chunks: range) -> None:
        """The disk may read these chunks already, while others are worked on."""
        os.posix_fadvise(self._image, *_place(segment, chunks), os.POSIX_FADV_WILLNEED)

    def forget(self, segment: int) -> None:
        """The segment leaves the page cache, which is not for what is read once."""
        os.posix_fadvise(self._image, *_place(segment, range(CHUNKS)), os.POSIX_FADV_DONTNEED)

    def read(self, segment: int, chunks: range) -> memoryview:
        """Their content; zeros behind the end of the image."""
        start, length = _place(segment, chunks)
        content = os.pread(self._image, length, start)
        return memoryview(content if len(content) == length else content.ljust(length, b"\0"))

    @property
    def size(self) -> int:
        return self._size

    def name(self, content: memoryview) -> bytes:
        return self._keys.name(content)

    def sent(self, segment: int) -> Sent:
        return self._adoption.of(segment)

    def add(self, content: bytes, kind: str, pieces: list[Piece]) -> Frame:
        return self._packs.add(content, kind, pieces)


class _Segment:
    """One segment while it is written."""

    def __init__(self, writer: SegmentWriter, look: Look, table: Table) -> None:
        self._writer, self._look, self._table = writer, look, table
        self._differs = False
        self._tally = Tally(data_bytes=-len(table.entries) * CHUNK)
        self._sent: Sent | None = None
        self._whole: list[_Waiting] = []
        self._parts: list[_Waiting] = []

    def write(self) -> tuple[bool, Tally]:
        masks = dict(self._look.masks)
        masks |= dict.fromkeys(self._lost_chunks(masks), ALL_BLOCKS)
        for chunk in self._zeros_now(masks):
            if self._table.clear(chunk):
                self._note_changed(CHUNK)
        reading = list(runs(sorted(chunk for chunk, mask in masks.items() if mask), _CHUNKS_PER_FRAME))
        for run in reading:
            if len(run) < _CHUNKS_PER_FRAME:  # the kernel sees by itself that the others follow each other
                self._writer.announce(self._look.segment, run)
        for run in reading:
            self._writer.stop_if_cancelled()
            content = self._writer.read(self._look.segment, run)
            self._tally.read_bytes += len(content)
            for number, chunk in enumerate(run):
                self._take(chunk, masks[chunk], content[number * CHUNK : (number + 1) * CHUNK])
        self._writer.forget(self._look.segment)
        self._send_parts()
        self._send_whole()
        self._tally.data_bytes += len(self._table.entries) * CHUNK
        return self._differs, self._tally

    def _lost_chunks(self, masks: Collection[int]) -> list[int]:
        """Chunks that are stored in damaged frames: forgotten, so that they are sent again."""
        lost = [
            chunk
            for chunk, entry in self._table.entries.items()
            if self._writer.harmed(entry.frame)
            or any(self._writer.harmed(patch.frame) for patch in self._table.patches.get(chunk, ()))
        ]
        for chunk in lost:
            self._table.clear(chunk)
            self._differs = True
        return [chunk for chunk in lost if chunk in masks or not self._look.rest_is_zero]

    def _zeros_now(self, masks: dict[int, int]) -> list[int]:
        first_behind = -(-self._writer.size // CHUNK) - self._look.segment * CHUNKS
        behind = [chunk for chunk in self._table.entries if chunk >= first_behind]
        holes = [chunk for chunk, mask in masks.items() if not mask]
        rest = [chunk for chunk in self._table.entries if chunk not in masks] if self._look.rest_is_zero else []
        return [*behind, *holes, *rest]

    def _take(self, chunk: int, mask: int, content: memoryview) -> None:
        name, there = self._writer.name(content), self._table.entries.get(chunk)
        if name == self._writer.zeros:
            if self._table.clear(chunk):
                self._note_changed(CHUNK)
            return
        if there is not None and there.name == name:
            return
        patched = self._table.patches.get(chunk, ())
        if there is None or mask.bit_count() > _MOST_PATCHED_BLOCKS or len(patched) >= MOST_PATCHES:
            self._take_whole(chunk, name, content)
        else:
            self._take_part(chunk, mask, name, content)

    def _take_whole(self, chunk: int, name: bytes, content: memoryview) -> None:
        self._note_changed(CHUNK)
        if (entry := self._in_store.entries.get((chunk, name))) is not None:
            self._table.patches.pop(chunk, None)
            self._table.entries[chunk] = entry
            return
        self._whole.append(_Waiting(chunk, ALL_BLOCKS, name, content))
        if len(self._whole) == _CHUNKS_PER_FRAME:
            self._send_whole()

    def _take_part(self, chunk: int, mask: int, name: bytes, content: memoryview) -> None:
        self._note_changed(mask.bit_count() * BLOCK)
        if (patch := self._in_store.patches.get((chunk, mask, name))) is not None:
            self._lay_over(chunk, name, patch)
            return
        blocks = (content[at * BLOCK : (at + 1) * BLOCK] for at in range(BLOCKS) if mask >> at & 1)
        self._parts.append(_Waiting(chunk, mask, name, b"".join(blocks)))
        if sum(len(part.content) for part in self._parts) > FRAME - CHUNK:
            self._send_parts()

    @property
    def _in_store(self) -> Sent:
        if self._sent is None:
            self._sent = self._writer.sent(self._look.segment)
        return self._sent

    def _note_changed(self, size: int) -> None:
        self._differs = True
        self._tally.changed_bytes += size

    def _send_whole(self) -> None:
        if self._whole:
            frame = self._send(self._whole, CHUNKS_KIND)
            for index, one in enumerate(self._whole):
                self._table.patches.pop(one.chunk, None)
                self._table.entries[one.chunk] = Entry(frame, index, one.name)
            self._whole = []

    def _send_parts(self) -> None:
        if self._parts:
            frame, index = self._send(self._parts, PATCHES_KIND), 0
            for one in self._parts:
                self._lay_over(one.chunk, one.name, Patch(one.mask, frame, index))
                index += one.mask.bit_count()
            self._parts = []

    def _lay_over(self, chunk: int, name: bytes, patch: Patch) -> None:
        self._table.entries[chunk] = self._table.entries[chunk]._replace(name=name)
        self._table.patches.setdefault(chunk, []).append(patch)

    def _send(self, waiting: list[_Waiting], kind: str) -> Frame:
        first = self._look.segment * CHUNKS
        pieces = [Piece(first + one.chunk, one.mask, one.name) for one in waiting]
        return self._writer.add(b"".join(one.content for one in waiting), kind, pieces)


def _place(segment: int, chunks: range) -> tuple[int, int]:
    """Where they begin in the image, and their length."""
    return (segment * CHUNKS + chunks.start) * CHUNK, len(chunks) * CHUNK
