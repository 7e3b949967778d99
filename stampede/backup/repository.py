"""A repository: one prefix of a bucket under one master key, which is sealed in slots.

A slot opens with the recovery key, or with a passphrase by scrypt. When all of them are lost, so are the backups.
"""

from __future__ import annotations

import base64
import json
import secrets
from datetime import datetime
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import ValidationError

from stampede.backup.names import REPOSITORY, SLOTS
from stampede.backup.recovery_key import secret_of
from stampede.backup.sealing import KEY_BYTES, NONCE_BYTES, VolumeKeys, derived
from stampede.backup.store import ObjectStore
from stampede.errors import BackupError, Damaged, NewerFormat, Refused, WrongKey
from stampede.frozen import Frozen

FORMAT = 1
_SALT_BYTES = 16
_SCRYPT_COST = 1 << 16  # 64 MiB and about 0.2 s


class Slot(Frozen):
    """The master key, sealed with one secret."""

    kind: Literal["recovery", "passphrase"]
    salt: str
    cost: int = 0
    sealed: str


class RepositoryDocument(Frozen):
    """What the object `repo` holds."""

    format: int
    id: str
    created: datetime
    slots: tuple[Slot, ...]


class Keys:
    """The opened repository. `master` opens everything: it is kept like a password."""

    def __init__(self, repository: str, master: bytes) -> None:
        self.repository, self.master = repository, master

    def volume(self, folder: str) -> VolumeKeys:
        return VolumeKeys(self.master, folder)


def create_repository(store: ObjectStore, recovery_key: str, now: datetime, passphrase: str | None = None) -> Keys:
    """Afterwards the store holds a repository that opens with this recovery key, and the passphrase if there is one.

    Raises: Refused if there is one already, BadInput if the recovery key is none.
    """
    keys = Keys(secrets.token_hex(8), secrets.token_bytes(KEY_BYTES))
    slots = [_sealed(keys, "recovery", recovery_key)]
    slots += [_sealed(keys, "passphrase", passphrase)] if passphrase is not None else []
    document = RepositoryDocument(format=FORMAT, id=keys.repository, created=now, slots=tuple(slots))
    if not store.put_if_absent(REPOSITORY, document.model_dump_json().encode()):
        hint = "add it with its recovery key, or choose another prefix"
        raise Refused("there is a repository of backups already", hint)
    return keys


def open_repository(store: ObjectStore, *, recovery_key: str = "", passphrase: str = "") -> Keys:
    """Raises: BackupError if there is none, WrongKey, NewerFormat, Damaged, BadInput for a mistyped recovery key."""
    document = read_repository(store)
    kind, secret = ("recovery", recovery_key) if recovery_key else ("passphrase", passphrase)
    later = [_slot(store.get(found.name), found.name) for found in store.list(SLOTS)]
    for slot in (*document.slots, *later):
        master = _opened(document.id, slot, secret) if slot.kind == kind else None
        if master is not None:
            return Keys(document.id, master)
    raise WrongKey(f"this {kind.replace('recovery', 'recovery key')} does not open the repository {document.id}")


def add_slot(store: ObjectStore, keys: Keys, kind: Literal["recovery", "passphrase"], secret: str) -> None:
    """Afterwards this secret opens the repository as well."""
    store.put_if_absent(f"{SLOTS}{secrets.token_hex(8)}", _sealed(keys, kind, secret).model_dump_json().encode())


def read_repository(store: ObjectStore) -> RepositoryDocument:
    """Raises: BackupError if there is none, NewerFormat, Damaged."""
    if store.size(REPOSITORY) is None:
        raise BackupError("there is no repository of backups here", "check bucket and prefix")
    try:
        content = json.loads(store.get(REPOSITORY))
        if content["format"] > FORMAT:
            raise NewerFormat(f"the repository has format {content['format']}", "use a newer release of Stampede")
        return RepositoryDocument.model_validate(content)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("the object repo is not what was written there") from error


def _slot(content: bytes, name: str) -> Slot:
    try:
        return Slot.model_validate_json(content)
    except ValidationError as error:
        raise Damaged(f"the object {name} is not what was written there") from error


def _sealed(keys: Keys, kind: Literal["recovery", "passphrase"], secret: str) -> Slot:
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    cost = _SCRYPT_COST if kind == "passphrase" else 0
    sealing = AESGCM(_wrapping_key(kind, secret, salt, cost))
    sealed = nonce + sealing.encrypt(nonce, keys.master, f"{keys.repository}\0{kind}".encode())
    return Slot(kind=kind, salt=salt.hex(), cost=cost, sealed=base64.b64encode(sealed).decode())


def _opened(repository: str, slot: Slot, secret: str) -> bytes | None:
    sealed = base64.b64decode(slot.sealed)
    opening = AESGCM(_wrapping_key(slot.kind, secret, bytes.fromhex(slot.salt), slot.cost))
    try:
        return opening.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], f"{repository}\0{slot.kind}".encode())
    except InvalidTag:
        return None


def _wrapping_key(kind: str, secret: str, salt: bytes, cost: int) -> bytes:
    if kind == "passphrase":
        return Scrypt(salt=salt, length=KEY_BYTES, n=cost, r=8, p=1).derive(secret.encode())
    return derived(derived(b"stampede recovery key".ljust(KEY_BYTES), secret_of(secret).hex()), salt.hex())
