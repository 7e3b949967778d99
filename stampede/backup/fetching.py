"""Frames and chunks out of packs: few requests, opened and compared with their hash, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from stampede.backup.names import pack_object
from stampede.backup.packs import CHUNKS_KIND, PATCHES_KIND
from stampede.backup.sealing import VolumeKeys
from stampede.backup.store import ObjectStore
from stampede.backup.tables import ALL_BLOCKS, BLOCK, BLOCKS, CHUNK, Entry, Frame, Patch
from stampede.errors import Cancelled, Damaged

_GAP = 128 << 10  # bytes that are cheaper to read and drop than to ask for the next ones separately
_SPAN = 8 << 20
_READERS = 3

Moved = Mapping[str, Mapping[int, Frame]]
Arrived = Callable[[Frame, "bytes | Damaged"], None]
Wish = tuple[Mapping[Frame, str], Arrived]


class Span(NamedTuple):
    """Frames of a pack that one request brings: bytes `start` to `end`."""

    pack: str
    start: int
    end: int
    frames: tuple[Frame, ...]


def spans(frames: Iterable[Frame]) -> Iterator[Span]:
    """Neighbours together, at most 8 MiB at once; a larger frame by itself."""
    held: list[Frame] = []
    for frame in sorted(frames):
        if held:
            last_end = held[-1].offset + held[-1].length
            near = frame.pack == held[-1].pack and frame.offset - last_end <= _GAP
            if not near or frame.offset + frame.length - held[0].offset > _SPAN:
                yield _span(held)
                held = []
        held.append(frame)
    if held:
        yield _span(held)


def _span(frames: list[Frame]) -> Span:
    return Span(frames[0].pack, frames[0].offset, frames[-1].offset + frames[-1].length, tuple(frames))


class Fetcher:
    """Opens frames of one volume. `moved` says where pruning has put those that it moved."""

    def __init__(
        self, store: ObjectStore, keys: VolumeKeys, moved: Moved, cancelled: threading.Event | None = None
    ) -> None:
        self._store, self._keys, self.moved = store, keys, moved
        self._cancelled = cancelled or threading.Event()

    @property
    def keys(self) -> VolumeKeys:
        return self._keys

    def resolve(self, frame: Frame) -> Frame:
        """Where it lies now."""
        return self.moved.get(frame.pack, {}).get(frame.offset, frame)

    def one(self, frame: Frame, kind: str) -> bytes:
        """Raises: Damaged."""
        now = self.resolve(frame)
        sealed = self._store.get(pack_object(self._keys.folder, now.pack), now.offset, now.length)
        return self._keys.open(sealed, f"p/{now.pack}", kind)

    def packed(self, frame: Frame, kind: str) -> bytes:
        """The same, left compressed."""
        now = self.resolve(frame)
        sealed = self._store.get(pack_object(self._keys.folder, now.pack), now.offset, now.length)
        return self._keys.open_packed(sealed, f"p/{now.pack}", kind)

    def all(self, kinds: Mapping[Frame, str]) -> dict[Frame, bytes | Damaged]:
        """What these frames hold, or why they cannot be opened; for few and small ones."""
        found: dict[Frame, bytes | Damaged] = {}
        self.many(kinds, found.__setitem__)
        return found

    def many(self, kinds: Mapping[Frame, str], deliver: Arrived) -> None:
        """Each frame once, opened as what it is, or why it cannot be; from several threads, in any order.

        Raises: Cancelled, and whatever `deliver` raises.
        """
        self.stream([(kinds, deliver)])

    def stream(self, wishes: Iterable[Wish]) -> None:
        """The same for many, one after the other and without a pause between: the next wish is not asked for before
        the last requests of the one before it are on their way.
        """
        under_way: deque[Future[None]] = deque()
        with ThreadPoolExecutor(_READERS, "fetch") as threads:
            try:
                for kinds, deliver in wishes:
                    asked = {self.resolve(frame): frame for frame in kinds}
                    for span in spans(asked):
                        if len(under_way) > _READERS:
                            under_way.popleft().result()
                        under_way.append(threads.submit(self._load, span, asked, kinds, deliver))
                for loading in under_way:
                    loading.result()
            except BaseException:
                threads.shutdown(wait=True, cancel_futures=True)
                raise

    def _load(self, span: Span, asked: Mapping[Frame, Frame], kinds: Mapping[Frame, str], deliver: Arrived) -> None:
        if self._cancelled.is_set():
            raise Cancelled("cancelled while reading backups")
        name = pack_object(self._keys.folder, span.pack)
        try:
            content = memoryview(self._store.get(name, span.start, span.end - span.start))
        except Damaged as damage:
            for frame in span.frames:
                deliver(asked[frame], damage)
            return
        for frame in span.frames:
            sealed = content[frame.offset - span.start : frame.offset - span.start + frame.length]
            deliver(asked[frame], self._opened(sealed, frame, kinds[asked[frame]]))

    def _opened(self, sealed: memoryview, frame: Frame, kind: str) -> bytes | Damaged:
        try:
            return self._keys.open(sealed, f"p/{frame.pack}", kind)
        except Damaged as damage:
            return damage


class Wanted(NamedTuple):
    """A chunk of the volume as one backup, or several, have it."""

    chunk: int
    entry: Entry
    patches: tuple[Patch, ...]

    @property
    def frames(self) -> Iterator[tuple[Frame, str]]:
        yield self.entry.frame, CHUNKS_KIND
        for patch in self.patches:
            yield patch.frame, PATCHES_KIND


Deliver = Callable[[Wanted, memoryview], None]
Harmed = Callable[[Wanted, Frame, Damaged], None]


def read_chunks(fetcher: Fetcher, wanted: Iterable[Wanted], deliver: Deliver, harmed: Harmed) -> None:
    """Each chunk is delivered whole, once its hash was found right, or said to be harmed, at least once.

    Both are called from several threads. Chunks with patches are held in memory until they are complete.
    """
    read_portions(fetcher, [wanted], deliver, harmed)


def read_portions(fetcher: Fetcher, portions: Iterable[Iterable[Wanted]], deliver: Deliver, harmed: Harmed) -> None:
    """The same for many chunks: those of a few portions at most are held in memory, and nothing waits between them."""
    fetcher.stream(wish(fetcher.keys, portion, deliver, harmed) for portion in portions)


def wish(keys: VolumeKeys, wanted: Iterable[Wanted], deliver: Deliver, harmed: Harmed) -> Wish:
    """What frames these chunks need, and what is to be done with each that arrives."""
    uses: dict[Frame, list[tuple[_Piece, int]]] = {}
    kinds: dict[Frame, str] = {}
    for one in wanted:
        piece = _Piece(one)
        for number, (frame, kind) in enumerate(one.frames):
            kinds[frame] = kind
            uses.setdefault(frame, []).append((piece, number))

    def arrived(frame: Frame, content: bytes | Damaged) -> None:
        for piece, number in uses[frame]:
            if isinstance(content, Damaged):
                harmed(piece.wanted, frame, content)
                continue
            whole = piece.with_part(number, memoryview(content))
            if whole is None:
                continue
            if keys.name(whole) == piece.wanted.entry.name:
                deliver(piece.wanted, whole)
            else:
                harmed(piece.wanted, frame, Damaged("the content of a chunk is not what was backed up"))

    return kinds, arrived


class _Piece:
    """A chunk that is being put together from its frame and its patches, in whatever order they come."""

    __slots__ = ("_blocks", "_buffer", "_left", "_lock", "wanted")

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._left = 1 + len(wanted.patches)
        self._buffer: bytearray | None = None
        if wanted.patches:
            self._lock = threading.Lock()
            self._blocks = _winning(wanted.patches)

    def with_part(self, number: int, content: memoryview) -> memoryview | None:
        """The chunk, once part 0 (its frame) and 1, 2, … (its patches) are all there."""
        if not self.wanted.patches:
            begin = self.wanted.entry.place * CHUNK
            return content[begin : begin + CHUNK]
        with self._lock:
            self._buffer = buffer = self._buffer or bytearray(CHUNK)
            patch = self.wanted.patches[number - 1] if number else None
            mask = patch.mask if patch else ALL_BLOCKS
            source = patch.place * BLOCK if patch else self.wanted.entry.place * CHUNK
            for block in range(BLOCKS):
                if mask >> block & 1:
                    if self._blocks[number] >> block & 1:
                        buffer[block * BLOCK : (block + 1) * BLOCK] = (
                            content[source : source + BLOCK].tobytes().ljust(BLOCK, b"\0")
                        )
                    source += BLOCK
            self._left -= 1
            return None if self._left else memoryview(buffer)


def _winning(patches: tuple[Patch, ...]) -> list[int]:
    """For the frame and each patch the blocks that nothing later lies over."""
    free, blocks = ALL_BLOCKS, list[int]()
    for patch in reversed(patches):
        blocks.append(patch.mask & free)
        free &= ~patch.mask
    return [free, *reversed(blocks)]
