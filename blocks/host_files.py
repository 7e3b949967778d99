"""Configs and secrets on their host: plain files in memory, and an encrypted copy of each from which a boot refills.

places.files/<stack>/<host_name>        what containers mount; on tmpfs, so that no disk ever holds it in the clear
places.host/files/<stack>/<host_name>   the same, AES-GCM under places.host/files.key, which never leaves the host
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stampede import programs
from stampede.errors import StampedeError
from stampede.places import Places
from stampede.planning.instances import MountedFile

_IN_MEMORY = ("tmpfs", "ramfs")
_KEY_BITS = 256
_NONCE_BYTES = 12


def place_file(places: Places, stack: str, file: MountedFile, content: str) -> None:
    """Afterwards the host has the file with its owner and mode, and its encrypted copy. Twice is once."""
    _ensure_in_memory(places)
    inside, kept = _paths(places, stack, file.host_name)
    if not kept.exists():
        header = json.dumps({"uid": file.uid, "gid": file.gid, "mode": file.mode}).encode() + b"\n"
        sealed = _seal(_key(places), header + content.encode(), stack, file.host_name)
        _write(kept, sealed, mode=0o600)
    if not inside.exists():
        _write(inside, content.encode(), mode=file.mode, owner=(file.uid, file.gid))


def remove_files(places: Places, stack: str, keep: Collection[str] = ()) -> None:
    """Afterwards the stack has no files here but those whose `host_name` is in `keep`."""
    for directory in (places.files / stack, _kept(places) / stack):
        if not directory.is_dir():
            continue
        for path in directory.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)
        if not any(directory.iterdir()):
            directory.rmdir()


def refill(places: Places) -> int:
    """Afterwards every file of which there is an encrypted copy is in memory again. Returns how many there are.

    Raises: StampedeError naming copies that cannot be read, once all others are in place.
    """
    copies = sorted(path for path in _kept(places).glob("*/*") if not path.name.startswith("."))
    if not copies:
        return 0
    _ensure_in_memory(places)
    key, damaged = _key(places), []
    for copy in copies:
        stack, name = copy.parent.name, copy.name
        try:
            header, _, content = _unseal(key, copy.read_bytes(), stack, name).partition(b"\n")
        except (InvalidTag, ValueError):
            damaged.append(f"{stack}/{name}")
            continue
        said = json.loads(header)
        inside = places.files / stack / name
        if not inside.exists():
            _write(inside, content, mode=said["mode"], owner=(said["uid"], said["gid"]))
    if damaged:
        raise StampedeError(
            f"the host's copies of {', '.join(damaged)} cannot be read", "`stampede up` of the stack places them anew"
        )
    return len(copies)


def _kept(places: Places) -> Path:
    return places.host / "files"


def _paths(places: Places, stack: str, name: str) -> tuple[Path, Path]:
    return places.files / stack / name, _kept(places) / stack / name


def _ensure_in_memory(places: Places) -> None:
    """Afterwards places.files is on tmpfs: a mount of its own where the run directory is on a disk."""
    places.files.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _one_at_a_time(places.run / "files.lock"):
        if _file_system(places.files) not in _IN_MEMORY:
            options = "mode=0700,nosuid,nodev"  # not noexec: a config may be a script
            programs.run(["mount", "-t", "tmpfs", "-o", options, "stampede-files", places.files])


def _file_system(path: Path) -> str:
    """Type of the file system a directory is on: of the mount with the longest fitting path, the latest of equals."""
    path, best, kind = path.resolve(), -1, ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, fs_type = line.split(" ")[:3]
        mount = mount.encode().decode("unicode_escape")  # blanks are written \\040
        if path.is_relative_to(mount) and len(mount) >= best:
            best, kind = len(mount), fs_type
    return kind


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Across threads and processes."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _key(places: Places) -> bytes:
    """This host's key, made at first use."""
    path = places.host / "files.key"
    places.host.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _one_at_a_time(places.host / "files.lock"):
        if not path.exists():
            _write(path, AESGCM.generate_key(_KEY_BITS), mode=0o600)
    return path.read_bytes()


def _seal(key: bytes, content: bytes, stack: str, name: str) -> bytes:
    """The copy's own name is sealed with it, so that two copies cannot be swapped."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, f"{stack}/{name}".encode())


def _unseal(key: bytes, sealed: bytes, stack: str, name: str) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], f"{stack}/{name}".encode())


def _write(path: Path, content: bytes, *, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Afterwards the whole file is there, or, if this dies half-way, none of it under its name."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        if owner is not None:
            os.fchown(stream.fileno(), *owner)
        os.fchmod(stream.fileno(), mode)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.rename(path)
