"""Keys, and what is sealed with them: zstd, then AES-256-GCM bound to its place.

One random master key per repository. Each volume has keys derived from it, and so has each use. What was sealed for one
place cannot be opened for another: the volume, the object and the kind are authenticated with it. Names of chunks are a
keyed hash, so that nobody without the key can tell whether some known content is stored.
"""

from __future__ import annotations

import secrets
import threading

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stampede.errors import Damaged

KEY_BYTES = 32
HASH_BYTES = 16
NONCE_BYTES = 12
OVERHEAD = NONCE_BYTES + 16
LARGEST = 512 << 20  # nothing unpacks to more; a guard against content made to fill memory
_LEVEL = 1


class VolumeKeys:
    """Seals and opens what belongs to one volume. May be used from several threads."""

    def __init__(self, master: bytes, folder: str) -> None:
        self.folder = folder
        self._aead = AESGCM(derived(master, f"seal {folder}"))
        self._hashing = derived(master, f"name {folder}")
        self._own = threading.local()

    def name(self, chunk: bytes | memoryview) -> bytes:
        """The keyed hash by which this content is known."""
        return blake3(chunk, key=self._hashing).digest(HASH_BYTES)

    def compress(self, content: bytes | bytearray) -> bytes:
        compressor: zstandard.ZstdCompressor | None = getattr(self._own, "compressor", None)
        if compressor is None:
            compressor = self._own.compressor = zstandard.ZstdCompressor(level=_LEVEL)
        return compressor.compress(content)

    def seal(self, content: bytes | bytearray, place: str, kind: str) -> bytes:
        """`place` is the object without its folder, `kind` what it is within."""
        return self.seal_packed(self.compress(content), place, kind)

    def seal_packed(self, packed: bytes, place: str, kind: str) -> bytes:
        """The same for what is compressed already."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, packed, self._bound(place, kind))

    def open(self, sealed: bytes | memoryview, place: str, kind: str) -> bytes:
        """Raises: Damaged if this is not what was sealed for this place."""
        decompressor: zstandard.ZstdDecompressor | None = getattr(self._own, "decompressor", None)
        if decompressor is None:
            decompressor = self._own.decompressor = zstandard.ZstdDecompressor()
        packed = self.open_packed(sealed, place, kind)
        try:
            if zstandard.frame_content_size(packed) > LARGEST:
                raise Damaged(f"{self.folder}/{place} unpacks to more than anything we write")
            return decompressor.decompress(packed)
        except zstandard.ZstdError as error:
            raise Damaged(f"{self.folder}/{place} cannot be unpacked") from error

    def open_packed(self, sealed: bytes | memoryview, place: str, kind: str) -> bytes:
        """The same, left compressed."""
        if len(sealed) < OVERHEAD:
            raise Damaged(f"{self.folder}/{place} is cut short")
        try:
            return self._aead.decrypt(bytes(sealed[:NONCE_BYTES]), sealed[NONCE_BYTES:], self._bound(place, kind))
        except InvalidTag as error:
            raise Damaged(f"{self.folder}/{place} is not what was written there, or by another key") from error

    def _bound(self, place: str, kind: str) -> bytes:
        return f"{self.folder}/{place}\0{kind}".encode()


def derived(key: bytes, purpose: str) -> bytes:
    """A key for one purpose only."""
    return blake3(purpose.encode(), key=key).digest()
