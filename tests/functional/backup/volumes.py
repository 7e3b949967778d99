"""Volumes as a pool has them, with files in them, backed up to a real S3 server as they are while they are used."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from stampede.backup.names import pack_object, volume_folder
from stampede.backup.reader import OpenBackup
from stampede.backup.recovery_key import new_recovery_key
from stampede.backup.repository import Keys, create_repository
from stampede.backup.tables import CHUNK, CHUNKS
from stampede.backup.writer import About, backup
from stampede.blocks.backups import RepositoryAccess
from stampede.blocks.backups.sources import opened_source
from stampede.blocks.object_store import S3Address, S3Store
from stampede.blocks.volumes import ext4, loops, mounts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1 << 20
VOLUME = "shop_uploads"


def made_access(address: S3Address) -> RepositoryAccess:
    """To a new repository there."""
    store = S3Store(address)
    keys = create_repository(store, new_recovery_key(), NOW)
    store.close()
    return RepositoryAccess(address=address, repository=keys.repository, master_key=SecretStr(keys.master.hex()))


def pack_of_files_only(access: RepositoryAccess, image: Path, volume: str = VOLUME) -> str:
    """An object that has nothing but files: no tables, and no blocks of the file system, which can be compressed."""
    store = S3Store(access.address)
    opened = OpenBackup(store, _keys(access), volume)
    chunks = defaultdict[str, list[int]](list)
    for number in opened.manifest.segments:
        for chunk, entry in opened.table(number).entries.items():
            chunks[entry.frame.pack].append(number * CHUNKS + chunk)
    store.close()
    tables = {one.table.pack for one in opened.manifest.segments.values()}
    with image.open("rb") as file:
        for pack, those in chunks.items():
            if pack not in tables and all(
                len(zlib.compress(os.pread(file.fileno(), CHUNK, one * CHUNK), 1)) > CHUNK for one in those
            ):
                return pack_object(volume_folder(volume), pack)
    raise AssertionError("all packs have something else")


def _keys(access: RepositoryAccess) -> Keys:
    return Keys(access.repository, bytes.fromhex(access.master_key.get_secret_value()))


def back_up(access: RepositoryAccess, image: Path, volume: str = VOLUME) -> None:
    store = S3Store(access.address)
    with opened_source(image, None, 0) as source:
        backup(store, _keys(access), volume, source, About(created=NOW))
    store.close()


def made_image(folder: Path, size: int, write: Callable[[Path], object], *, clean: bool = False) -> Path:
    """The image of a volume in which `write` has made files; unless `clean` as it is while it is mounted and used."""
    image, mount, taken = folder / "image", folder / "mount", folder / "taken"
    ext4.make(image, size)
    mount.mkdir()
    with loops.attached(image, direct_io=False) as device:
        mounts.mount(device, mount, "ext4", ext4.MOUNT_OPTIONS)
    write(mount / ext4.DATA)
    mounts.sync(mount)
    (mount / ext4.DATA / "last").write_text("in the journal only")
    descriptor = os.open(mount / ext4.DATA / "last", os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    if clean:
        mounts.unmount(mount)
    subprocess.run(["cp", "--sparse=always", image, taken], check=True)
    if not clean:
        mounts.unmount(mount)
    image.unlink()
    mount.rmdir()
    found = ext4.read(taken)
    assert found is not None
    assert found.clean == clean
    return taken
