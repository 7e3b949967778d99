"""Content of a volume that is the same in every run: half of it does not compress, half is like text."""

from __future__ import annotations

import os
import random
from pathlib import Path

MIB = 1 << 20
BLOCK = 4096
_POOL = 4 * MIB
_WORDS = 4000


class Content:
    """Bytes for files. What is written twice differs; the same calls in the same order give the same bytes."""

    def __init__(self, seed: int = 1) -> None:
        self.dice = random.Random(seed)
        words = [f"{self.dice.getrandbits(self.dice.choice((12, 24, 40))):x}".encode() for _ in range(_WORDS)]
        self._text = b" ".join(self.dice.choices(words, k=_POOL // 4))[:_POOL]

    def of(self, size: int) -> bytes:
        """Blocks of random bytes and blocks of text, in runs of 16."""
        parts: list[bytes] = []
        left = size
        while left > 0:
            length = min(left, 16 * BLOCK)
            if self.dice.random() < 0.5:
                parts.append(self.dice.randbytes(length))
            else:
                at = self.dice.randrange(_POOL - length)
                parts.append(self._text[at : at + length])
            left -= length
        return b"".join(parts)

    def files(self, folder: Path, number: int, bytes_each: int) -> None:
        """Afterwards `folder` has so many files of about that size, 100 in each of its folders."""
        for position in range(number):
            parent = folder / f"{position // 100:04}"
            if not position % 100:
                parent.mkdir(parents=True)
            size = max(1, int(bytes_each * self.dice.uniform(0.2, 1.8)))
            (parent / f"{position:06}").write_bytes(self.of(size))

    def large(self, path: Path, size: int) -> None:
        """Afterwards there is a file of that size."""
        with path.open("wb") as file:
            for _ in range(size // MIB):
                file.write(self.of(MIB))

    def scatter(self, path: Path, blocks: int) -> None:
        """Afterwards so many blocks of 4 KiB, all over the file, have other content, on the disk."""
        with path.open("r+b") as file:
            for at in self.dice.sample(range(path.stat().st_size // BLOCK), blocks):
                file.seek(at * BLOCK)
                file.write(self.of(BLOCK))
            file.flush()
            os.fsync(file.fileno())
