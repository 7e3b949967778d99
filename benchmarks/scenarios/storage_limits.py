"""What backups are limited by here: disk, hash, compression, encryption and the S3 server, one at a time."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.backups.content import MIB, Content
from benchmarks.backups.site import forget_what_was_read
from benchmarks.lab import Lab
from benchmarks.results import Result
from stampede.backup.sealing import VolumeKeys
from stampede.blocks.object_store import S3Store

PACK, PACKS, SENDERS = 16 * MIB, 16, 3
INCLUDES = """\
The content of the backups above, in frames of 1 MiB; hash (BLAKE3, keyed), compression (zstd 1) and encryption \
(AES-256-GCM) on one core. The disk is read as one file with an empty page cache. Put and got are packs of 16 MiB by 3 \
threads of one process, by https and by http; the server works on the same two cores."""


def run(lab: Lab, rounds: int) -> Result:
    content = Content().of(PACK)
    pieces = [content[at : at + MIB] for at in range(0, PACK, MIB)]
    keys = VolumeKeys(bytes(32), "v/limits")
    packed = [keys.compress(piece) for piece in pieces]
    measured: dict[str, Callable[[], float]] = {
        "disk, read": lambda: _read_disk(lab),
        "hash": lambda: _rate([lambda piece=piece: keys.name(piece) for piece in pieces]),
        "compression": lambda: _rate([lambda piece=piece: keys.compress(piece) for piece in pieces]),
        "encryption": lambda: _rate([lambda piece=piece: keys.seal_packed(piece, "p", "k") for piece in pieces]),
    }
    for secure in (True, False):
        scheme = "https" if secure else "http"
        measured |= {f"put, {scheme}": lambda secure=secure: _put(lab, content, secure)[0]}
        measured |= {f"got, {scheme}": lambda secure=secure: _put(lab, content, secure)[1]}
    found = {name: [measure() for _ in range(rounds)] for name, measure in measured.items()}
    rows = tuple(
        (name, f"{statistics.median(rates):.0f} MB/s", f"{min(rates):.0f} … {max(rates):.0f} MB/s")
        for name, rates in found.items()
    )
    small = sum(map(len, packed)) / PACK
    title, includes = "What limits backups", f"{INCLUDES} Compressed it is {small * 100:.0f} % of its size."
    return Result(title, includes, ("", f"median of {rounds}", "from … to"), rows, (), found)


def _rate(acts: list[Callable[[], object]]) -> float:
    """MB per second of processor, for pieces of 1 MiB."""
    began = time.thread_time()
    for act in acts:
        act()
    return len(acts) * MIB / (time.thread_time() - began) / 1e6


def _read_disk(lab: Lab) -> float:
    path = lab.folder / "limits"
    if not path.exists():
        path.write_bytes(Content().of(512 * MIB))
    forget_what_was_read()
    began, file = time.perf_counter(), os.open(path, os.O_RDONLY)
    try:
        while os.read(file, MIB):
            pass
    finally:
        os.close(file)
    return 512 * MIB / (time.perf_counter() - began) / 1e6


def _put(lab: Lab, content: bytes, secure: bool) -> tuple[float, float]:
    """MB/s put, and got again."""
    store = S3Store(lab.object_server.new_bucket(secure))
    names = [f"pack-{number}" for number in range(PACKS)]
    with ThreadPoolExecutor(SENDERS) as threads:
        began = time.perf_counter()
        list(threads.map(lambda name: store.put(name, content), names))
        put = time.perf_counter()
        list(threads.map(store.get, names))
        got = time.perf_counter()
    store.close()
    return PACKS * PACK / (put - began) / 1e6, PACKS * PACK / (got - put) / 1e6
