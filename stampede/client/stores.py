"""Stores of backups as the server keeps them. Credentials and keys lie there encrypted."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stampede.backup.honoured import Honoured
from stampede.client.api import PrefectApi
from stampede.client.documents import Document, Documents
from stampede.documents import STORE_TYPE
from stampede.errors import BadInput, Refused, UnknownName
from stampede.stores import Joining, LockMode, StoreView, address_of


@dataclass(frozen=True)
class Login:
    """Credentials of an object store."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class NewStore:
    """A store as it is to be added. `recovery_key` opens the repository, or is to open the one that is made."""

    name: str
    bucket: str
    prefix: str
    endpoint: str
    region: str
    ca_file: str
    login: Login
    joining: Joining
    lock_days: int = 0
    lock_mode: LockMode = "governance"
    recovery_key: str = field(repr=False)
    by: str


class Stores:
    """The stores of one server."""

    def __init__(self, api: PrefectApi) -> None:
        self._documents = Documents(api, STORE_TYPE)

    def all(self) -> list[StoreView]:
        """By name; also those whose adding has not ended."""
        return [_view(document) for document in self._documents.read_all()]

    def read(self, name: str) -> StoreView:
        """Raises: UnknownName."""
        return _view(self._read(name))

    def write_down(self, new: NewStore) -> str:
        """Afterwards the server knows the store, which is not ready yet; returns its recovery key.

        One whose adding was interrupted is written down anew, and keeps the recovery key that it was given.
        Raises: Refused when another store has this name or this address.
        """
        for other in self.all():
            if other.name == new.name and (other.ready or other.address != address_of(new.bucket, new.prefix)):
                raise Refused(f"there is a store {new.name} already, at {other.address}", "choose another name")
            if other.name != new.name and _place(other) == (new.bucket, new.prefix, new.endpoint):
                raise Refused(f"{other.address} is store {other.name} already", "choose another prefix")
        before = self._documents.read(new.name, secrets=True)
        if before is None:
            self._documents.create(new.name, _document(new) | {"cluster_id": secrets.token_hex(3)})
            return new.recovery_key
        kept = str(before.data["recovery_key"]) if new.joining == "make" else new.recovery_key
        self._documents.update(before, _document(new) | {"recovery_key": kept})
        return kept

    def recovery_key(self, name: str) -> str:
        """The recovery key itself. Raises: UnknownName."""
        return str(self._read(name, secrets=True).data["recovery_key"])

    def confirm(self, name: str, recovery_key: str) -> None:
        """Afterwards backups may go there. Raises: UnknownName; BadInput if this (in printed form) is another key."""
        document = self._read(name, secrets=True)
        if document.data["recovery_key"] != recovery_key:
            raise BadInput(
                f"this is not the recovery key of store {name}", f"stampede store key export {name} shows it"
            )
        self._documents.update(document, {"confirmed": True})

    def remove(self, name: str) -> None:
        """Afterwards the server does not know the store; what is in the bucket stays. Raises: UnknownName."""
        self._documents.delete(self._read(name))

    def _read(self, name: str, *, secrets: bool = False) -> Document:
        found = self._documents.read(name, secrets=secrets)
        if found is None:
            raise UnknownName(f"there is no store {name}", "stampede store ls lists them")
        return found


def _document(new: NewStore) -> dict[str, Any]:
    """The fields of the block (blocks/stores.py)."""
    return {
        "bucket": new.bucket,
        "prefix": new.prefix,
        "endpoint": new.endpoint,
        "region": new.region,
        "ca_file": new.ca_file,
        "access_key": new.login.access_key,
        "secret_key": new.login.secret_key,
        "session_token": new.login.session_token,
        "recovery_key": new.recovery_key,
        "joining": new.joining,
        "lock_days": new.lock_days,
        "lock_mode": new.lock_mode,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": new.by,
    }


def _view(document: Document) -> StoreView:
    data = document.data
    honoured = data.get("honoured")
    return StoreView(
        name=document.name,
        bucket=data["bucket"],
        prefix=data.get("prefix") or "",
        endpoint=data.get("endpoint") or "",
        region=data.get("region") or "",
        created=data["created"],
        by=data.get("by") or "",
        ready=bool(data.get("ready")),
        confirmed=bool(data.get("confirmed")),
        lock_days=int(data.get("lock_days") or 0),
        lock_mode=data.get("lock_mode") or "governance",
        repository=data.get("repository") or "",
        origin=data.get("origin") or "",
        honoured=Honoured.model_validate(honoured) if honoured else None,
    )


def _place(store: StoreView) -> tuple[str, str, str]:
    return store.bucket, store.prefix, store.endpoint
