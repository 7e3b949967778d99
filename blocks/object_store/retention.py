"""Objects in a bucket with object lock: every version of them, and until when it is kept.

Such a bucket keeps versions. A DELETE without a version only hides the newest, and frees nothing; one of a version that
is locked is refused. Source: Amazon S3 User Guide, "Locking objects with Object Lock" and "Object Lock considerations".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from botocore.exceptions import ClientError

from stampede.backup.store import Lock
from stampede.blocks.object_store.refusals import status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_T = TypeVar("_T")
_DELETED_AT_ONCE = 1000


class Ask(Protocol):
    """Makes a request until it is answered. Raises: ClientError for what is refused, else one of ours."""

    def __call__(self, request: Callable[[], _T]) -> _T: ...


class _Version(NamedTuple):
    key: str
    version: str


class Retention:
    """What a lock makes of requests to a bucket."""

    def __init__(self, client: S3Client, bucket: str, lock: Lock, ask: Ask) -> None:
        self._client, self._bucket, self._lock, self._ask = client, bucket, lock, ask

    def of_new(self, content: bytes | bytearray) -> dict[str, Any]:
        """What a PUT needs besides; its body has to come with a checksum that every server knows."""
        return {
            "ContentMD5": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
            "ObjectLockMode": self._lock.mode.upper(),
            "ObjectLockRetainUntilDate": self._lock.end(datetime.now(UTC)),
        }

    def extend(self, key: str, end: datetime) -> None:
        """Afterwards the newest version is locked at least until `end`; a no-op if there is none."""
        wanted: Any = {"Mode": self._lock.mode.upper(), "RetainUntilDate": end}
        try:
            self._ask(lambda: self._client.put_object_retention(Bucket=self._bucket, Key=key, Retention=wanted))
        except ClientError as error:
            if status_of(error) == 404 or (status_of(error) == 403 and self._is_locked(key, end)):
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
        """Of which objects versions are locked. Raises: ClientError for one that was refused for another reason."""
        batch: Any = [{"Key": one.key, "VersionId": one.version} for one in versions]
        wanted: Any = {"Objects": batch, "Quiet": True}
        answer = self._ask(lambda: self._client.delete_objects(Bucket=self._bucket, Delete=wanted))
        refusals: Any = answer.get("Errors", ())
        for refused in refusals[:1]:  # if the first one is locked, so are the others: a missing right spares none
            if not self._is_locked(refused["Key"], datetime.now(UTC), refused["VersionId"]):
                raise ClientError({"Error": refused}, "DeleteObjects")
        return {refused["Key"] for refused in refusals}

    def _is_locked(self, key: str, until: datetime, version: str = "") -> bool:
        asked: Any = {"Bucket": self._bucket, "Key": key, **({"VersionId": version} if version else {})}
        try:
            found = self._ask(lambda: self._client.get_object_retention(**asked))
        except ClientError:
            return False
        end = found.get("Retention", {}).get("RetainUntilDate")
        return end is not None and end >= until.replace(microsecond=0)

    def _versions(self, keys: Sequence[str]) -> Iterator[_Version]:
        wanted = set(keys)
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": keys[0].rpartition("/")[0] if keys else ""}
        while wanted:
            page = self._ask(partial(self._client.list_object_versions, **asked))
            for one in page.get("Versions", ()):
                if one["Key"] in wanted:
                    yield _Version(one["Key"], one["VersionId"])
            if not page.get("IsTruncated"):
                return
            asked |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
