"""Where the content of a volume lies: a table for each 64 MiB segment, and a manifest of the tables.

    table     u32 packs | their names, 32 bytes each | 1024 entries | patches
    entry     u16 pack, u16 place in the frame, u32 offset, u32 length, 16 bytes hash      a chunk of 64 KiB
    patch     u16 chunk, u16 mask, u16 pack, u16 place in the frame, u32 offset, u32 length 4 KiB blocks of a chunk

All little endian. An entry of length 0 is a chunk of zeros. The hash is that of the chunk with its patches; later
patches lie over earlier ones, and over the chunk in its frame. Bit n of a mask is block n of the chunk; the frame of a
patch has its blocks one after the other, from block `place` on. A table names its packs itself, so that it holds by
itself and is inherited by later backups as it is.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import NamedTuple

from stampede.backup.sealing import HASH_BYTES
from stampede.errors import Damaged

BLOCK = 4 << 10
CHUNK = 64 << 10
FRAME = 1 << 20
SEGMENT = 64 << 20
CHUNKS = SEGMENT // CHUNK
BLOCKS = CHUNK // BLOCK
ALL_BLOCKS = (1 << BLOCKS) - 1
MOST_PATCHES = 4

_COUNT = struct.Struct("<I")
_PACK = struct.Struct("<32s")
_ENTRY = struct.Struct(f"<HHII{HASH_BYTES}s")
_PATCH = struct.Struct("<HHHHII")


class Frame(NamedTuple):
    """A sealed piece of a pack."""

    pack: str
    offset: int
    length: int


class Entry(NamedTuple):
    """A chunk: number `place` of its frame. `name` is the hash of its content, patches included."""

    frame: Frame
    place: int
    name: bytes


class Patch(NamedTuple):
    """Some blocks of a chunk, from block `place` of their frame on."""

    mask: int
    frame: Frame
    place: int


class Table:
    """A segment: what is stored for each of its chunks; a chunk that is missing here is zeros."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.patches: dict[int, list[Patch]] = {}

    @property
    def frames(self) -> set[Frame]:
        return {entry.frame for entry in self.entries.values()} | {
            patch.frame for patches in self.patches.values() for patch in patches
        }

    def clear(self, chunk: int) -> bool:
        """Afterwards the chunk is zeros; True if it was not."""
        self.patches.pop(chunk, None)
        return self.entries.pop(chunk, None) is not None

    def encoded(self) -> bytes:
        packs = sorted({frame.pack for frame in self.frames})
        number = {pack: index for index, pack in enumerate(packs)}
        content = bytearray(_COUNT.pack(len(packs)))
        for pack in packs:
            content += _PACK.pack(pack.encode())
        begin = len(content)
        content += bytes(CHUNKS * _ENTRY.size)
        for chunk, (frame, place, name) in self.entries.items():
            at = begin + chunk * _ENTRY.size
            _ENTRY.pack_into(content, at, number[frame.pack], place, frame.offset, frame.length, name)
        for chunk in sorted(self.patches):
            for mask, frame, place in self.patches[chunk]:
                content += _PATCH.pack(chunk, mask, number[frame.pack], place, frame.offset, frame.length)
        return bytes(content)


def decoded_table(content: bytes) -> Table:
    """Raises: Damaged."""
    table = Table()
    try:
        (count,) = _COUNT.unpack_from(content)
        at = _COUNT.size + count * _PACK.size
        names = [name.rstrip(b"\0").decode() for (name,) in _PACK.iter_unpack(content[_COUNT.size : at])]
        entries = content[at : at + CHUNKS * _ENTRY.size]
        for chunk, (pack, place, offset, length, name) in enumerate(_ENTRY.iter_unpack(entries)):
            if length:
                table.entries[chunk] = Entry(Frame(names[pack], offset, length), place, name)
        for chunk, mask, pack, place, offset, length in _PATCH.iter_unpack(content[at + len(entries) :]):
            table.patches.setdefault(chunk, []).append(Patch(mask, Frame(names[pack], offset, length), place))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Damaged("a table of a segment makes no sense") from error
    return table


class Segment(NamedTuple):
    """Where the table of a segment lies, and which packs it names."""

    table: Frame
    packs: frozenset[str]


class Manifest:
    """All segments of a backup that are not zeros, and how long each pack is that they lie in.

    `sizes` has every pack of `segments`, tables included; 0 for the one that was still being written, whose length is
    in the commit.
    """

    def __init__(self, segments: dict[int, Segment], sizes: dict[str, int]) -> None:
        self.segments, self.sizes = segments, sizes

    def encoded(self) -> bytes:
        packs = sorted(self.sizes)
        number = {pack: index for index, pack in enumerate(packs)}
        rows = [
            [
                at,
                number[one.table.pack],
                one.table.offset,
                one.table.length,
                *sorted(number[pack] for pack in one.packs),
            ]
            for at, one in sorted(self.segments.items())
        ]
        return json.dumps({"packs": [[pack, self.sizes[pack]] for pack in packs], "segments": rows}).encode()


def decoded_manifest(content: bytes) -> Manifest:
    """Raises: Damaged."""
    try:
        parts = json.loads(content)
        names = [str(name) for name, _ in parts["packs"]]
        segments = {
            at: Segment(Frame(names[pack], offset, length), frozenset(names[other] for other in others))
            for at, pack, offset, length, *others in parts["segments"]
        }
        return Manifest(segments, {str(name): int(size) for name, size in parts["packs"]})
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Damaged("a manifest makes no sense") from error


def packs_of(frames: Iterable[Frame]) -> frozenset[str]:
    return frozenset(frame.pack for frame in frames)
