#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["boto3>=1.40,<2", "blake3>=1,<2", "cryptography>=44,<51", "zstandard>=0.23,<1"]
# ///
"""Gets data back out of Stampede's backups, without Stampede: the bucket (or a copy of it) and the recovery key do.

    rescue.py list    s3://bucket/prefix                  which volumes and backups there are
    rescue.py restore s3://bucket/prefix VOLUME FILE      a backup as a raw image, every block of it verified
    rescue.py spec    s3://bucket/prefix VOLUME           what was kept with it to bring the app back: JSON

Instead of s3://… a directory does that holds a copy of the prefix. Credentials of S3 come from where boto3 looks:
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, a profile; a server that is not Amazon's is named by --endpoint or
AWS_ENDPOINT_URL. The recovery key is asked for, or read from --key-file. Nothing is ever written to the bucket.

Exit codes: 0 all is well; 1 the bucket or the disk failed; 2 wrong arguments; 3 something stored is damaged or missing,
and the message says which object; 4 the recovery key is wrong.

This file is also the specification of the format. Objects, in the order in which they are read here:

    repo, slots/<id>             the master key, sealed with the recovery key                        open_repository
    v/<folder>/s/<seq>           the log of a volume: numbered commits                               Volume.__init__
    v/<folder>/k/<seq>           what all commits up to there say, together
    v/<folder>/p/<pack>          packs of sealed frames: chunks, patches, tables, manifests          Volume.frame
"""

from __future__ import annotations

import argparse
import base64
import getpass
import json
import os
import re
import struct
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import boto3
import zstandard
from blake3 import blake3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = 1
BLOCK, CHUNK, SEGMENT = 4 << 10, 64 << 10, 64 << 20  # bytes; a volume is segments of 1024 chunks of 16 blocks
READERS = 8
FAILED, DAMAGED, WRONG_KEY = 1, 3, 4


class Damaged(Exception):
    """An object that is missing, or is not what was written there."""


def fail(code: int, message: str) -> NoReturn:
    print(f"rescue: {message}", file=sys.stderr)
    sys.exit(code)


# Where objects are ---------------------------------------------------------------------------------------------------


class Bucket:
    """s3://bucket/prefix"""

    def __init__(self, address: str, endpoint: str | None, ca_file: str | None) -> None:
        self.bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        settings = Config(
            s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 10},
            response_checksum_validation="when_required", max_pool_connections=READERS,
        )  # fmt: skip
        self.client = boto3.client("s3", endpoint_url=endpoint, verify=ca_file, config=settings)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        wanted: Any = {} if length is None else {"Range": f"bytes={start}-{start + length - 1}"}
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name, **wanted)
            return bytes(answer["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                raise Damaged(f"{name} is missing") from error
            if error.response["Error"]["Code"] in ("InvalidRange", "416"):
                raise Damaged(f"{name} is cut short: it ends before byte {start}") from error
            raise

    def entries(self, folder: str) -> Iterator[str]:
        """Names of what is in a folder, in order; folders in it among them."""
        listing = self.client.get_paginator("list_objects_v2")
        for page in listing.paginate(Bucket=self.bucket, Prefix=self.prefix + folder, Delimiter="/"):
            keys = [item["Key"] for item in page.get("Contents", ())]
            keys += [item["Prefix"] for item in page.get("CommonPrefixes", ())]
            yield from (key.removeprefix(self.prefix + folder).rstrip("/") for key in keys)


class Directory:
    """A copy of what lies below the prefix, for example by `aws s3 sync` or rclone."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                file.seek(start)
                return file.read() if length is None else file.read(length)
        except FileNotFoundError as error:
            raise Damaged(f"{name} is missing") from error

    def entries(self, folder: str) -> Iterator[str]:
        yield from sorted(path.name for path in (self.path / folder).glob("*"))


Source = Bucket | Directory


# Keys ----------------------------------------------------------------------------------------------------------------


def derived(key: bytes, purpose: str) -> bytes:
    """A key for one purpose: BLAKE3 of its name, keyed."""
    return blake3(purpose.encode(), key=key).digest()


def secret_of(recovery_key: str) -> bytes:
    """Nine groups of four in Crockford's base 32: 160 bits, then 20 bits of their BLAKE3 as a checksum."""
    digits = recovery_key.upper().translate(str.maketrans("OIL", "011", "- \n\r\t"))
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    if len(digits) != 36 or any(digit not in alphabet for digit in digits):
        fail(WRONG_KEY, "this is no recovery key: it has nine groups of four letters and digits")
    number = 0
    for digit in digits:
        number = number << 5 | alphabet.index(digit)
    secret = (number >> 20).to_bytes(20, "big")
    if int.from_bytes(blake3(secret).digest(3), "big") >> 4 != number & 0xFFFFF:
        fail(WRONG_KEY, "this recovery key was mistyped: compare it group by group with the one that was printed")
    return secret


def open_repository(source: Source, recovery_key: str) -> bytes:
    """The master key. `repo` and slots/<id> are JSON, and hold it sealed: 12 bytes nonce, then AES-256-GCM.

    Slots of kind "passphrase" are sealed with scrypt(passphrase, salt, n=cost, r=8, p=1) instead.
    """
    secret = secret_of(recovery_key)
    repository = json.loads(source.get("repo"))
    if repository["format"] > FORMAT:
        fail(FAILED, f"the repository has format {repository['format']}, this file reads {FORMAT}: use a newer one")
    slots = repository["slots"] + [json.loads(source.get(f"slots/{name}")) for name in source.entries("slots/")]
    for slot in slots:
        if slot["kind"] == "recovery":
            sealed = base64.b64decode(slot["sealed"])
            wrapping = derived(derived(b"stampede recovery key".ljust(32), secret.hex()), slot["salt"])
            try:
                return AESGCM(wrapping).decrypt(sealed[:12], sealed[12:], f"{repository['id']}\0recovery".encode())
            except InvalidTag:
                continue
    fail(WRONG_KEY, f"this recovery key does not open the repository {repository['id']}")


# One volume ----------------------------------------------------------------------------------------------------------

Frame = tuple[str, int, int]  # pack, offset, length


class Volume:
    """`backups` are its commits that are kept backups, by number; `broken` what could not be read of its log."""

    def __init__(self, source: Source, master: bytes, folder: str) -> None:
        # Folders are names of volumes, with ~XX for bytes of UTF-8 that could mislead a server or a path.
        self.name = re.sub(rb"~([0-9A-F]{2})", lambda hit: bytes.fromhex(hit[1].decode()), folder.encode()).decode()
        self.source, self.folder = source, f"v/{folder}"
        self.sealing = AESGCM(derived(master, f"seal {self.folder}"))
        self.hashing = derived(master, f"name {self.folder}")
        self.backups: dict[int, dict[str, Any]] = {}
        self.moved: dict[str, dict[str, Frame]] = {}  # by pack and offset: what pruning put elsewhere
        self.broken: list[str] = []
        self._read_log()

    def _read_log(self) -> None:
        """A commit adds one backup ("snapshot"), or drops some, or says what pruning moved ("sweep")."""
        seqs = [int(name) for name in self.source.entries(f"{self.folder}/s/")]
        with ThreadPoolExecutor(READERS) as threads:
            head = next(filter(None, map(self._commit, reversed(seqs))), None)
            if head is None:
                return
            checkpoint = head["checkpoint"]  # all commits up to there in one object, so that few have to be read
            try:
                state = self._document(f"k/{checkpoint:012}", "checkpoint") if checkpoint else {"snapshots": {}}
                self.backups = {int(seq): snapshot for seq, snapshot in state["snapshots"].items()}
            except Damaged as damage:
                self.broken.append(str(damage))
                checkpoint = 0
            for commit in threads.map(self._commit, [seq for seq in seqs if checkpoint < seq <= head["seq"]]):
                if commit is not None:
                    self.backups = {seq: one for seq, one in self.backups.items() if seq not in commit["dropped"]}
                    if commit["snapshot"]:
                        self.backups[commit["seq"]] = commit["snapshot"]
        sweep = head if head["sweep"] else self._commit(head["sweep_at"]) if head["sweep_at"] else None
        self.moved = sweep["sweep"]["moved"] if sweep else {}

    def _commit(self, seq: int) -> dict[str, Any] | None:
        try:
            return self._document(f"s/{seq:012}", "commit")
        except Damaged as damage:
            if str(damage) not in self.broken:
                self.broken.append(str(damage))
            return None

    def _document(self, place: str, kind: str) -> dict[str, Any]:
        """Commits and checkpoints: "stampede", a byte for the format, then JSON, sealed."""
        content = self.source.get(f"{self.folder}/{place}")
        if content[:8] != b"stampede" or len(content) < 9:
            raise Damaged(f"{self.folder}/{place} is not what was written there")
        if content[8] > FORMAT:
            fail(FAILED, f"{self.folder}/{place} has format {content[8]}, this file reads {FORMAT}: use a newer one")
        document: dict[str, Any] = json.loads(self.open(content[9:], place, kind))
        return document

    def open(self, sealed: bytes, place: str, kind: str, where: str = "") -> bytes:
        """zstd, then AES-256-GCM with a nonce of 12 bytes in front, bound to the object and to what it is in there."""
        try:
            packed = self.sealing.decrypt(sealed[:12], sealed[12:], f"{self.folder}/{place}\0{kind}".encode())
            return zstandard.ZstdDecompressor().decompress(packed)
        except (InvalidTag, ValueError, zstandard.ZstdError) as error:
            raise Damaged(f"{self.folder}/{place}{where} is not what was written there") from error

    def frame(self, frame: Frame, kind: str) -> bytes:
        """A frame: bytes of a pack. Each pack ends in a footer, which only interrupted backups need."""
        pack, offset, length = self.moved.get(frame[0], {}).get(str(frame[1]), frame)
        sealed = self.source.get(f"{self.folder}/p/{pack}", offset, length)
        return self.open(sealed, f"p/{pack}", kind, f", bytes {offset} to {offset + length},")

    def segments(self, backup: int) -> dict[int, Frame]:
        """The manifest: JSON. packs: [name, bytes]; segments that are not zeros: [number, pack, offset, length, …]."""
        found = self.backups[backup]["manifest"]
        if found is None:
            return {}
        manifest = json.loads(self.frame(tuple(found), "manifest"))
        names = [name for name, _ in manifest["packs"]]
        return {number: (names[pack], offset, length) for number, pack, offset, length, *_ in manifest["segments"]}

    def restore_segment(self, number: int, table: Frame, image: int) -> list[tuple[int, int, str]]:
        """Afterwards the segment is in the image. Returns ranges that are not, as they cannot be read, and why."""
        try:
            chunks = decoded_table(self.frame(table, f"table {number}"))
        except Damaged as damage:
            return [(number * SEGMENT, (number + 1) * SEGMENT, str(damage))]
        first, needed = number * SEGMENT // CHUNK, defaultdict[tuple[Frame, str], list[tuple[int, int, int]]](list)
        for chunk, (blocks, _) in chunks.items():
            for block, (frame, kind, place) in enumerate(blocks):
                needed[frame, kind].append((chunk, block, place))
        harmed: dict[int, str] = {}

        def fetch(frame: Frame, kind: str) -> None:
            try:
                content = self.frame(frame, kind)
            except Damaged as damage:
                harmed.update((chunk, str(damage)) for chunk, _, _ in needed[frame, kind])
                return
            for chunk, block, place in needed[frame, kind]:
                part = content[place * BLOCK : (place + 1) * BLOCK].ljust(BLOCK, b"\0")
                os.pwrite(image, part, (first + chunk) * CHUNK + block * BLOCK)

        with ThreadPoolExecutor(READERS) as threads:
            list(threads.map(fetch, *zip(*sorted(needed), strict=True)) if needed else ())
        for chunk, (_, name) in chunks.items():
            content = os.pread(image, CHUNK, (first + chunk) * CHUNK)
            if chunk not in harmed and blake3(content, key=self.hashing).digest(16) != name:
                harmed[chunk] = f"{self.folder}: the chunk at byte {(first + chunk) * CHUNK} is not what was backed up"
            if chunk in harmed:
                os.pwrite(image, bytes(CHUNK), (first + chunk) * CHUNK)
        return [((first + chunk) * CHUNK, (first + chunk + 1) * CHUNK, why) for chunk, why in sorted(harmed.items())]


def decoded_table(content: bytes) -> dict[int, tuple[list[tuple[Frame, str, int]], bytes]]:
    """For each chunk of a segment that is not zeros: where each of its 16 blocks lies, and its BLAKE3, keyed.

    u32 packs | their names, 32 bytes each | 1024 entries | patches, all little endian
    entry  u16 pack, u16 place, u32 offset, u32 length, 16 bytes hash: number `place` of the chunks in that frame
    patch  u16 chunk, u16 mask, u16 pack, u16 place, u32 offset, u32 length: the blocks in `mask`, from block `place` on
    An entry of length 0 is zeros. Patches lie over their chunk, later ones over earlier ones; the hash is of the whole.
    """
    count = struct.unpack_from("<I", content)[0]
    begin = 4 + 32 * count
    packs = [name.rstrip(b"\0").decode() for (name,) in struct.iter_unpack("<32s", content[4:begin])]
    chunks: dict[int, tuple[list[tuple[Frame, str, int]], bytes]] = {}
    entries = struct.iter_unpack("<HHII16s", content[begin : begin + 1024 * 28])
    for chunk, (pack, place, offset, length, name) in enumerate(entries):
        if length:
            frame = (packs[pack], offset, length)
            chunks[chunk] = ([(frame, "chunks", place * 16 + block) for block in range(16)], name)
    for chunk, mask, pack, place, offset, length in struct.iter_unpack("<HHHHII", content[begin + 1024 * 28 :]):
        for at, block in enumerate(number for number in range(16) if mask >> number & 1):
            chunks[chunk][0][block] = ((packs[pack], offset, length), "patches", place + at)
    return chunks


# Commands ------------------------------------------------------------------------------------------------------------


def list_backups(volumes: list[Volume]) -> None:
    for volume in volumes:
        for seq, backup in sorted(volume.backups.items()):
            print(f"{volume.name}  backup {seq}  {backup['created']}  {backup['size']} bytes")


def restore(volume: Volume, backup: int, target: Path) -> None:
    """Afterwards `target` is the image; if any of it cannot be read there is only <target>.partial, zeros for that."""
    if target.exists():
        fail(2, f"{target} is there already")
    size, segments, harmed = volume.backups[backup]["size"], volume.segments(backup), list[tuple[int, int, str]]()
    partial = target.with_name(f"{target.name}.partial")
    image = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.ftruncate(image, -(-size // CHUNK) * CHUNK)
    for done, (number, table) in enumerate(sorted(segments.items()), 1):
        harmed += volume.restore_segment(number, table, image)
        print(f"\r{done} of {len(segments)} segments", end="", file=sys.stderr)
    os.ftruncate(image, size)
    os.fsync(image)
    os.close(image)
    print(file=sys.stderr)
    if harmed:
        lost = "\n".join(f"  bytes {start} to {min(end, size)}: {why}" for start, end, why in harmed)
        fail(DAMAGED, f"{partial} has all that could be read, and zeros for what is lost:\n{lost}")
    partial.rename(target)
    print(f"{target}: {volume.name} as of backup {backup}, {volume.backups[backup]['created']}, {size} bytes, verified")


def chosen(volumes: list[Volume], name: str, backup: int | None) -> tuple[Volume, int]:
    volume = next((one for one in volumes if one.name == name), None)
    if volume is None or not volume.backups or (backup or max(volume.backups)) not in volume.backups:
        fail(2, f"there is no backup {backup or ''} of {name}; list shows which there are")
    return volume, backup or max(volume.backups)


def main() -> None:
    usage = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usage.add_argument("command", choices=["list", "restore", "spec"])
    usage.add_argument("source", help="s3://bucket/prefix, or a directory that is a copy of it")
    usage.add_argument("volume", nargs="?")
    usage.add_argument("file", nargs="?", type=Path)
    usage.add_argument("--backup", type=int, help="its number; the newest without")
    usage.add_argument("--key-file", type=Path, help="has the recovery key in it")
    usage.add_argument("--endpoint", help="of a server that is not Amazon's: https://…")
    usage.add_argument("--ca-file", help="certificates to trust, for one with its own")
    given = usage.parse_args()
    needed = {"list": [], "spec": [given.volume], "restore": [given.volume, given.file]}[given.command]
    if not all(needed):
        usage.error(f"{given.command} needs VOLUME" + (" and FILE" if given.command == "restore" else ""))
    key = given.key_file.read_text() if given.key_file else getpass.getpass("recovery key: ")
    remote = given.source.startswith("s3://")
    source = Bucket(given.source, given.endpoint, given.ca_file) if remote else Directory(given.source)
    master = open_repository(source, key)
    volumes = [Volume(source, master, folder) for folder in source.entries("v/")]
    broken = [what for volume in volumes for what in volume.broken if given.volume in (None, volume.name)]
    for what in broken:
        print(f"rescue: damaged, left out: {what}", file=sys.stderr)
    if given.command == "list":
        list_backups(volumes)
        sys.exit(DAMAGED if broken else 0)
    volume, backup = chosen(volumes, given.volume, given.backup)
    if given.command == "restore":
        restore(volume, backup, given.file)
    else:
        commit = volume._commit(backup)
        print(commit["snapshot"]["spec"] if commit else fail(DAMAGED, volume.broken[-1]))


if __name__ == "__main__":
    try:
        main()
    except Damaged as damage:
        fail(DAMAGED, str(damage))
    except (BotoCoreError, ClientError, OSError) as error:
        fail(FAILED, str(error))
