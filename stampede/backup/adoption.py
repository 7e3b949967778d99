"""What interrupted runs have sent: chunks and patches of packs that no commit names, found by their footers.

The names of packs begin with the commit that their run set out from. So those of runs that set out from the same one,
and did not publish, are found with one LIST.
"""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from stampede.backup.names import pack_prefix
from stampede.backup.packs import CHUNKS_KIND, Filled, read_footer
from stampede.backup.sealing import HASH_BYTES, VolumeKeys
from stampede.backup.store import ObjectStore
from stampede.backup.tables import ALL_BLOCKS, CHUNKS, Entry, Frame, Patch
from stampede.errors import Damaged

_READERS = 4
# Kept packed, as what was sent may be a terabyte: pack, chunk in segment, mask, index, offset, length, hash.
_ROW = struct.Struct(f"<IHHHII{HASH_BYTES}s")


class Sent:
    """What of a segment is in the store already, by chunk, blocks and hash."""

    def __init__(self) -> None:
        self.entries: dict[tuple[int, bytes], Entry] = {}
        self.patches: dict[tuple[int, int, bytes], Patch] = {}


class Adoption:
    """Packs of interrupted runs, read when something is about to be sent for the first time."""

    def __init__(
        self, store: ObjectStore, keys: VolumeKeys, base: int, avoided: Callable[[], Collection[str]], own_run: str
    ) -> None:
        self.sizes: dict[str, int] = {}
        self._store, self._keys, self._base, self._avoided, self._own_run = store, keys, base, avoided, own_run
        self._lock = threading.Lock()
        self._packs: list[str] = []
        self._rows: dict[int, bytearray] | None = None

    def of(self, segment: int) -> Sent:
        with self._lock:
            if self._rows is None:
                self._rows = {}
                self._read()
        sent = Sent()
        for pack, chunk, mask, index, offset, length, name in _ROW.iter_unpack(self._rows.get(segment, b"")):
            frame = Frame(self._packs[pack], offset, length)
            if mask == ALL_BLOCKS:
                sent.entries[chunk, name] = Entry(frame, index, name)
            else:
                sent.patches[chunk, mask, name] = Patch(mask, frame, index)
        return sent

    def _read(self) -> None:
        prefix = pack_prefix(self._keys.folder, self._base)
        found = [(one.name.rpartition("/")[2], one.size) for one in self._store.list(prefix)]
        avoided = self._avoided() if found else ()
        wanted = [(pack, size) for pack, size in found if pack not in avoided and not pack.startswith(self._own_run)]

        def read(one: tuple[str, int]) -> list[Filled]:
            with contextlib.suppress(Damaged):  # it is sent again, then
                return read_footer(self._store, self._keys, *one)
            return []

        with ThreadPoolExecutor(_READERS) as threads:
            for (pack, size), filled in zip(wanted, threads.map(read, wanted), strict=True):
                self.sizes[pack] = size
                self._packs.append(pack)
                self._note(filled)

    def _note(self, filled: list[Filled]) -> None:
        assert self._rows is not None
        for kind, frame, pieces in filled:
            index = 0
            for chunk, mask, name in pieces:
                rows = self._rows.setdefault(chunk // CHUNKS, bytearray())
                fields = (len(self._packs) - 1, chunk % CHUNKS, mask, index, frame.offset, frame.length, name)
                rows += _ROW.pack(*fields)
                index += 1 if kind == CHUNKS_KIND else mask.bit_count()
