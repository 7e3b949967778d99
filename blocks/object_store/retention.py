"""Objects in a bucket with object lock: every version of them, and until when it is kept.

Such a bucket keeps versions. A DELETE without a version only hides the newest, and frees nothing; one of a version that
is locked is refused. Source: Amazon S3 User Guide, "Locking objects with Object Lock" and "Object Lock considerations".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from stampede.backup.store import Lock
from stampede.blocks.object_store.documents import deletion, parsed, retention, text, with_md5
from stampede.blocks.object_store.refusals import Refusal
from stampede.blocks.object_store.wire import Answer, Body

_DELETED_AT_ONCE = 1000


class Ask(Protocol):
    """Makes a request until it is answered. Raises: Refusal, else one of our errors."""

    def __call__(
        self,
        method: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer: ...


class _Version(NamedTuple):
    key: str
    version: str


class Retention:
    """What a lock makes of requests to a bucket. All raise Refusal."""

    def __init__(self, lock: Lock, ask: Ask) -> None:
        self._mode, self._lock, self._ask = lock.mode.upper(), lock, ask

    def of_new(self, content: Body) -> dict[str, str]:
        """Headers that lock what is put with them. Servers insist on a checksum then."""
        end = self._lock.end(datetime.now(UTC))
        return {
            "x-amz-object-lock-mode": self._mode,
            "x-amz-object-lock-retain-until-date": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            **with_md5(content),
        }

    def extend(self, key: str, end: datetime) -> None:
        """Afterwards the newest version is locked at least until `end`; a no-op if there is none."""
        body = retention(self._mode, end)
        try:
            self._ask("PUT", key, query={"retention": ""}, headers=with_md5(body), body=body)
        except Refusal as refused:
            is_missing = refused.status == 404 and refused.code != "NoSuchBucket"
            if is_missing or (refused.status == 403 and self._is_locked(key, end)):
                return  # a lock is never made shorter: somebody else was further
            raise

    def delete(self, keys: Sequence[str]) -> frozenset[str]:
        """Afterwards these, all of one folder, are gone in all versions, but those returned, of which one is locked."""
        kept: set[str] = set()
        versions = list(self._versions(keys))
        for at in range(0, len(versions), _DELETED_AT_ONCE):
            kept |= self._delete(versions[at : at + _DELETED_AT_ONCE])
        return frozenset(kept)

    def _delete(self, versions: Sequence[_Version]) -> set[str]:
        """Of which objects versions are locked. Raises: Refusal if they were refused for another reason."""
        body = deletion(versions)
        answer = self._ask("POST", query={"delete": ""}, headers=with_md5(body), body=body)
        refusals = list(parsed(answer).iterfind("{*}Error"))
        for one in refusals[:1]:  # if the first one is locked, so are the others: a missing right spares none
            if not self._is_locked(text(one, "Key"), datetime.now(UTC), text(one, "VersionId")):
                raise Refusal(answer.status, text(one, "Code"), text(one, "Message"))
        return {text(one, "Key") for one in refusals}

    def _is_locked(self, key: str, until: datetime, version: str = "") -> bool:
        asked = {"retention": "", **({"versionId": version} if version else {})}
        try:
            end = text(parsed(self._ask("GET", key, query=asked)), "RetainUntilDate")
        except Refusal:
            return False
        return bool(end) and datetime.fromisoformat(end) >= until.replace(microsecond=0)

    def _versions(self, keys: Sequence[str]) -> Iterator[_Version]:
        wanted = set(keys)
        asked = {"versions": "", "prefix": keys[0].rpartition("/")[0] if keys else ""}
        while wanted:
            page = parsed(self._ask("GET", query=asked))
            for one in page.iterfind("{*}Version"):
                if (key := text(one, "Key")) in wanted:
                    yield _Version(key, text(one, "VersionId"))
            if text(page, "IsTruncated") != "true":
                return
            asked |= {"key-marker": text(page, "NextKeyMarker"), "version-id-marker": text(page, "NextVersionIdMarker")}
