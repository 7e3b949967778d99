"""Files that only this host can read: AES-GCM under places.host/files.key, which never leaves the host."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stampede.errors import StampedeError
from stampede.places import Places

_KEY_BITS = 256
_NONCE_BYTES = 12


class Damaged(StampedeError):
    """A sealed file cannot be read: it was changed, cut short, or sealed by another host's key."""


def host_key(places: Places) -> bytes:
    """This host's key, made at first use."""
    path = places.host / "files.key"
    places.host.mkdir(mode=0o700, parents=True, exist_ok=True)
    with one_at_a_time(places.host / "files.lock"):
        if not path.exists():
            write_whole(path, AESGCM.generate_key(_KEY_BITS), mode=0o600)
    return path.read_bytes()


def seal(key: bytes, content: bytes, name: str) -> bytes:
    """The file's own name is sealed with it, so that two cannot be swapped."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, name.encode())


def unseal(key: bytes, sealed: bytes, name: str) -> bytes:
    """What was sealed under this name. Raises: Damaged."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError) as error:
        raise Damaged(f"this host's copy of {name} cannot be read") from error


def write_whole(path: Path, content: bytes, *, mode: int, owner: tuple[int, int] | None = None) -> None:
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


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Across threads and processes."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
