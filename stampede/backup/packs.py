"""Packs: objects of about 16 MiB, made of sealed frames and a sealed footer that says what is in them.

    frames | sealed footer | u32 length of the footer, u32 CRC-32 of it, "stp1"
    footer: for each frame  u8 kind, u32 offset, u32 length, u16 pieces,  for each piece  u64 chunk, u16 mask, 16 B hash

The footer is for packs that no commit names: a run that was interrupted has sent them, and the next one adopts them.
"""

from __future__ import annotations

import secrets
import struct
import threading
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from stampede.backup.names import pack_object
from stampede.backup.sealing import HASH_BYTES, OVERHEAD, VolumeKeys
from stampede.backup.store import ObjectStore
from stampede.backup.tables import FRAME, Frame
from stampede.errors import Damaged

PACK = 16 << 20
CHUNKS_KIND, PATCHES_KIND, TABLE_KIND, MANIFEST_KIND = "chunks", "patches", "table", "manifest"
_KINDS = (CHUNKS_KIND, PATCHES_KIND)
_UPLOADERS = 3
_TAIL = 64 << 10
_FRAME = struct.Struct("<BIIH")
_PIECE = struct.Struct(f"<QH{HASH_BYTES}s")
_TRAILER = struct.Struct("<II4s")
_MAGIC = b"stp1"


class Piece(NamedTuple):
    """What a frame has of a chunk of the volume: its blocks in `mask`, all for a whole chunk; `name` is its hash."""

    chunk: int
    mask: int
    name: bytes


class Filled(NamedTuple):
    """A frame as its pack's footer lists it."""

    kind: str
    frame: Frame
    pieces: Sequence[Piece]


class _Open:
    """A pack that is being filled. Room is taken first and filled later, by several threads at once."""

    def __init__(self, name: str, room: bytearray) -> None:
        self.name, self.content = name, room
        self.used = self.awaited = 0
        self.full = False
        self.filled: list[Filled] = []


class PackWriter:
    """Seals frames into packs and sends those that are full. May be used from several threads.

    At most four packs are in memory: three being sent, and one being filled. Their room is used again.
    """

    def __init__(self, store: ObjectStore, keys: VolumeKeys, base: int) -> None:
        self.run = f"{base:012}-{secrets.token_hex(4)}"
        self.sizes: dict[str, int] = {}  # of all packs but the one that is being filled
        self._store, self._keys = store, keys
        self._lock = threading.Lock()
        self._places = threading.Semaphore(_UPLOADERS)
        self._room: list[bytearray] = []
        self._threads = ThreadPoolExecutor(_UPLOADERS, "upload")
        self._sent: list[Future[None]] = []
        self._count = 0
        self._open: _Open | None = None

    def add(self, content: bytes | bytearray, kind: str, pieces: Sequence[Piece] = ()) -> Frame:
        """Where it lies, once everything is sent. Raises: what sending earlier packs failed with."""
        packed = self._keys.compress(content)
        return self.add_packed(packed, kind, pieces)

    def add_packed(self, packed: bytes, kind: str, pieces: Sequence[Piece] = ()) -> Frame:
        """The same for what is compressed already."""
        length = len(packed) + OVERHEAD
        with self._lock:
            pack = self._open = self._open or self._new()
            frame = Frame(pack.name, pack.used, length)
            pack.used += length
            pack.awaited += 1
            if pack.used > len(pack.content):
                pack.content.extend(bytes(pack.used - len(pack.content)))
            if kind in _KINDS:
                pack.filled.append(Filled(kind, frame, pieces))
            if pack.used >= PACK:
                pack.full, self._open = True, None
        sealed = self._keys.seal_packed(packed, f"p/{pack.name}", kind)
        with self._lock:
            pack.content[frame.offset : frame.offset + length] = sealed
            pack.awaited -= 1
            complete = pack.full and not pack.awaited
        if complete:
            self._send(pack)
        return frame

    def close(self) -> None:
        """Afterwards all packs are in the store, at their full length. Raises: Damaged if the store lists another."""
        if self._open is not None:
            last, self._open = self._open, None
            self._send(last)
        self._threads.shutdown()
        for sent in self._sent:
            sent.result()
        if self.sizes:
            prefix = pack_object(self._keys.folder, self.run)
            listed = {found.name: found.size for found in self._store.list(prefix)}
            for pack, size in self.sizes.items():
                if listed.get(pack_object(self._keys.folder, pack)) != size:
                    raise Damaged(f"the store does not have the {size} bytes of pack {pack} that it was sent")

    def abandon(self) -> None:
        """Afterwards nothing is being sent any more; what was sent stays and is adopted by the next run."""
        self._threads.shutdown(cancel_futures=True)

    def _new(self) -> _Open:
        self._count += 1
        return _Open(f"{self.run}-{self._count:06}", self._room.pop() if self._room else bytearray(PACK + 2 * FRAME))

    def _send(self, pack: _Open) -> None:
        footer = self._keys.seal(_footer(pack.filled), f"p/{pack.name}", "footer")
        end = footer + _TRAILER.pack(len(footer), zlib.crc32(footer), _MAGIC)
        size = self.sizes[pack.name] = pack.used + len(end)
        pack.content[pack.used : size] = end
        self._places.acquire()
        for sent in self._sent:
            if sent.done():
                sent.result()
        self._sent.append(self._threads.submit(self._put, pack.name, pack.content, size))

    def _put(self, name: str, room: bytearray, size: int) -> None:
        try:
            with memoryview(room) as content:
                self._store.put(pack_object(self._keys.folder, name), content[:size])
            with self._lock:
                self._room.append(room)
        finally:
            self._places.release()


def read_footer(store: ObjectStore, keys: VolumeKeys, pack: str, size: int) -> list[Filled]:
    """What a pack says is in it. Raises: Damaged."""
    name, place = pack_object(keys.folder, pack), f"p/{pack}"
    tail = store.get(name, max(size - _TAIL, 0))
    if len(tail) < _TRAILER.size:
        raise Damaged(f"{name} is cut short")
    length, crc, magic = _TRAILER.unpack_from(tail, len(tail) - _TRAILER.size)
    if magic != _MAGIC or length > size - _TRAILER.size:
        raise Damaged(f"{name} does not end like a pack")
    if length > len(tail) - _TRAILER.size:
        tail = store.get(name, size - length - _TRAILER.size)
    sealed = tail[len(tail) - length - _TRAILER.size : len(tail) - _TRAILER.size]
    if zlib.crc32(sealed) != crc:
        raise Damaged(f"the end of {name} is not what was written there")
    return _filled(pack, keys.open(sealed, place, "footer"))


def _footer(filled: Sequence[Filled]) -> bytes:
    content = bytearray()
    for kind, frame, pieces in filled:
        content += _FRAME.pack(_KINDS.index(kind), frame.offset, frame.length, len(pieces))
        for piece in pieces:
            content += _PIECE.pack(*piece)
    return bytes(content)


def _filled(pack: str, content: bytes) -> list[Filled]:
    filled: list[Filled] = []
    at = 0
    try:
        while at < len(content):
            kind, offset, length, count = _FRAME.unpack_from(content, at)
            at += _FRAME.size
            pieces = [Piece(*fields) for fields in _PIECE.iter_unpack(content[at : at + count * _PIECE.size])]
            at += count * _PIECE.size
            filled.append(Filled(_KINDS[kind], Frame(pack, offset, length), pieces))
    except (struct.error, IndexError) as error:
        raise Damaged(f"the footer of pack {pack} makes no sense") from error
    return filled
