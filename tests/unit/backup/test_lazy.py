"""An image that is used while it is fetched: always what the backup and later writes made of it, also after a crash."""

from __future__ import annotations

import os
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stampede.backup.lazy import LazyImage
from stampede.backup.reader import OpenBackup
from stampede.backup.tables import BLOCK, CHUNK, SEGMENT
from stampede.errors import Damaged, StoreUnavailable
from tests.unit.backup.images import Image, repository

VOLUME = "shop_db"
places = st.integers(0, 30 * CHUNK)
lengths = st.sampled_from([1, 100, BLOCK, CHUNK - 1, CHUNK, 3 * CHUNK + 5])


class Used(RuleBasedStateMachine):
    """Reads, writes, syncs and crashes. After a crash each byte is what was synced, or what was written since."""

    @initialize(seed=st.integers(0, 1 << 32))
    def begin(self, seed: int) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="st-")
        folder, self.dice = Path(self.folder.name), random.Random(seed)
        self.store, self.keys = repository()
        image = Image(folder / "source", 30 * CHUNK - 777)
        image.write(self.dice.randrange(20) * CHUNK, self.dice.randbytes(9 * CHUNK))
        image.write(3, self.dice.randbytes(5 * CHUNK))
        image.back_up(self.store, self.keys)
        for _ in range(3):
            image.write(self.dice.randrange(29) * CHUNK + 4096, self.dice.randbytes(8192))
        image.back_up(self.store, self.keys)
        self.content = bytearray(image.content)
        self.synced = bytes(self.content)
        self.files = [os.open(folder / name, os.O_RDWR | os.O_CREAT) for name in ("image", "record")]
        os.ftruncate(self.files[0], image.size)
        self.kept = (b"", b"")
        self.open()

    def open(self) -> None:
        self.lazy = LazyImage(OpenBackup(self.store, self.keys, VOLUME), *self.files)

    def teardown(self) -> None:
        if hasattr(self, "files"):
            self.lazy.close()
            for file in self.files:
                os.close(file)
            self.folder.cleanup()

    @rule(at=places, length=lengths)
    def read(self, at: int, length: int) -> None:
        assert self.lazy.read(at, length) == self.content[at : at + length]

    @rule(at=places, length=lengths)
    def write(self, at: int, length: int) -> None:
        written = self.dice.randbytes(length)[: max(len(self.content) - at, 0)]
        self.lazy.write(at, written)
        self.content[at : at + len(written)] = written

    @rule()
    def sync(self) -> None:
        self.lazy.sync()
        self.synced = bytes(self.content)

    @rule()
    def die_and_open_again(self) -> None:
        """As by SIGKILL: the kernel keeps what was written to the image, while the record has what was synced."""
        self.lazy.close()
        before = self.content
        self.open()
        found = self.lazy.read(0, len(before))
        for at in range(0, len(found), BLOCK):
            part = found[at : at + BLOCK]
            assert part in (before[at : at + BLOCK], self.synced[at : at + BLOCK])
        self.content = bytearray(found)

    @rule()
    def fill(self) -> None:
        self.lazy.fill()
        self.synced = bytes(self.content)
        assert os.pread(self.files[0], len(self.content), 0) == self.content

    @rule(after=st.integers(0, 3), at=places)
    def read_while_the_store_is_away(self, after: int, at: int) -> None:
        self.store.fail_requests(after)
        try:
            assert self.lazy.read(at, CHUNK) == self.content[at : at + CHUNK]
        except StoreUnavailable:
            pass
        finally:
            self.store.heal()

    @invariant()
    def reads_past_the_end_are_short(self) -> None:
        if hasattr(self, "lazy"):
            assert self.lazy.read(len(self.content) - 3, 100) == self.content[-3:]
            assert self.lazy.read(len(self.content), 100) == b""


TestUsed = Used.TestCase
TestUsed.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


class Opened:
    """A volume of three segments, the second of which is zeros."""

    def __init__(self, folder: Path) -> None:
        self.store, self.keys = repository()
        self.source = Image(folder / "source", 3 * SEGMENT)
        self.source.write(0, os.urandom(64 * CHUNK))
        self.source.write(2 * SEGMENT, os.urandom(64 * CHUNK))
        self.source.back_up(self.store, self.keys)
        self.path = folder / "image"
        self.file = os.open(self.path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self.file, self.source.size)
        self.lazy = LazyImage(OpenBackup(self.store, self.keys, VOLUME), self.file)
        self.before = self.store.counts.received

    @property
    def received(self) -> int:
        return self.store.counts.received - self.before


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path)


def test_reading_a_byte_fetches_one_frame_and_reading_it_again_nothing(opened: Opened) -> None:
    assert opened.lazy.read(5, 1) == opened.source.content[5:6]
    received = opened.received
    assert received < 17 * CHUNK + 20_000
    assert opened.lazy.read(3 * CHUNK, CHUNK) == opened.source.content[3 * CHUNK : 4 * CHUNK]
    assert opened.lazy.read(SEGMENT, SEGMENT) == bytes(SEGMENT)
    assert opened.received == received


def test_a_chunk_that_is_overwritten_is_never_fetched(opened: Opened) -> None:
    opened.lazy.write(2 * SEGMENT, b"x" * CHUNK)
    assert opened.received == 0
    assert opened.lazy.read(2 * SEGMENT, CHUNK) == b"x" * CHUNK
    opened.lazy.fill()
    assert opened.path.read_bytes()[2 * SEGMENT :][:CHUNK] == b"x" * CHUNK


def test_reading_from_front_to_back_has_more_fetched_meanwhile(opened: Opened) -> None:
    for at in range(0, 36 * CHUNK, CHUNK):
        opened.lazy.read(at, CHUNK)
    opened.lazy.close()
    assert opened.path.read_bytes()[40 * CHUNK : 44 * CHUNK] == opened.source.content[40 * CHUNK : 44 * CHUNK]


def test_readers_writers_and_the_fill_do_not_get_into_each_others_way(opened: Opened) -> None:
    """Each writer has every fourth block of its own, so that chunks are shared and blocks are not."""
    source, size = opened.source.content, 64 * CHUNK
    expected = bytearray(source)
    written: list[tuple[int, bytes]] = []

    def use(own: int) -> None:
        dice = random.Random(own)
        for _ in range(150):
            at = (dice.randrange(size // BLOCK // 4) * 4 + own) * BLOCK
            content = dice.randbytes(BLOCK)
            opened.lazy.write(at, content)
            written.append((at, content))
            assert opened.lazy.read(at, BLOCK) == content
            other = dice.randrange(16) * CHUNK + 2 * SEGMENT + 48 * CHUNK
            assert opened.lazy.read(other, CHUNK) == source[other : other + CHUNK]

    with ThreadPoolExecutor(5) as threads:
        users = [threads.submit(use, own) for own in range(4)]
        threads.submit(opened.lazy.fill).result()
        for user in users:
            user.result()
    for at, content in written:
        expected[at : at + BLOCK] = content
    assert opened.path.read_bytes() == expected


def test_a_damaged_chunk_is_an_error_and_its_neighbours_are_not(opened: Opened) -> None:
    frame = OpenBackup(opened.store, opened.keys, VOLUME).table(0).entries[0].frame
    name, at = f"v/{VOLUME}/p/{frame.pack}", frame.offset + 1000
    content, written = opened.store.objects[name]
    opened.store.objects[name] = (content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], written)
    with pytest.raises(Damaged, match="is not what was written there"):
        opened.lazy.read(0, CHUNK)
    assert opened.lazy.read(20 * CHUNK, CHUNK) == opened.source.content[20 * CHUNK : 21 * CHUNK]
    with pytest.raises(Damaged):
        opened.lazy.fill()
    assert opened.path.read_bytes()[16 * CHUNK :] == opened.source.content[16 * CHUNK :]
    assert opened.path.read_bytes()[: 16 * CHUNK] == bytes(16 * CHUNK)
