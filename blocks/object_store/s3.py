"""An S3 bucket, or a prefix of one, as object store. Payloads are not signed: what is stored is sealed anyway.

boto3 hashes a body twice otherwise, which costs ten times what sending does (150 against 1,600 MB/s and core).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from stampede.backup.store import Counts, Found, Lock
from stampede.blocks.object_store.refusals import as_ours, code_of, passes, status_of
from stampede.blocks.object_store.retention import Retention
from stampede.errors import Cancelled, Damaged, StoreRefused
from stampede.frozen import Frozen

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_T = TypeVar("_T")
_PATIENCE_S = 75.0  # SeaweedFS was seen to answer 500 for 25 s after a crash
_LONGEST_PAUSE_S = 5.0
_DELETED_AT_ONCE = 1000
_EXTENDED_AT_ONCE = 8


class S3Address(Frozen):
    """Where a store is and how to log in. Without `endpoint` it is Amazon's of that region."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key: str
    secret_key: SecretStr
    session_token: SecretStr | None = None
    ca_file: str | None = None
    conditional_put: bool = True  # False for a server that ignores If-None-Match: then only one host may write

    def __str__(self) -> str:
        at = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + at


def s3_client(address: S3Address, *, connections: int = 16) -> S3Client:
    """boto3's client, which tries everything once: the store above it retries, and counts."""
    token = address.session_token
    return boto3.session.Session().client(
        "s3",
        endpoint_url=address.endpoint,
        region_name=address.region,
        aws_access_key_id=address.access_key,
        aws_secret_access_key=address.secret_key.get_secret_value(),
        aws_session_token=token.get_secret_value() if token else None,
        verify=address.ca_file,
        config=Config(
            signature_version="s3v4",
            max_pool_connections=connections,
            connect_timeout=10,
            read_timeout=60,
            retries={"total_max_attempts": 1, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path", "payload_signing_enabled": False},
        ),
    )


class S3Store:
    """Keeps the promises of stampede/backup/store.py. `patience_s` is how long errors that pass are retried.

    With `lock` what is written gets a retention, and what is deleted is deleted with all its versions: a bucket with
    object lock keeps versions, and a plain DELETE only hides the newest.

    Once `cancelled` is set, nothing more is asked: every verb raises Cancelled.
    """

    def __init__(
        self,
        address: S3Address,
        *,
        lock: Lock | None = None,
        patience_s: float = _PATIENCE_S,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.address, self._lock, self._patience_s = address, lock, patience_s
        self._retention: Retention | None = None
        self._cancelled = cancelled or threading.Event()
        self._client = s3_client(address)
        if lock is not None:
            self._retention = Retention(self._client, address.bucket, lock, self._ask)
        self._prefix = f"{address.prefix.strip('/')}/" if address.prefix.strip("/") else ""
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        return self._counts

    @property
    def lock(self) -> Lock | None:
        return self._lock

    @property
    def clock(self) -> datetime:
        return datetime.now(UTC)  # a host that is off by more than 15 minutes is refused anyway

    def close(self) -> None:
        """Afterwards it has no connection open."""
        self._client.close()

    def put(self, name: str, content: bytes | bytearray) -> None:
        body: Any = content  # boto3's types know no bytearray, boto3 does
        more = self._retention.of_new(content) if self._retention else {}
        self._ask_plainly(lambda: self._client.put_object(**self._at(name), Body=body, **more), sent=len(content))

    def put_if_absent(self, name: str, content: bytes) -> bool:
        if not self.address.conditional_put:
            if self.size(name) is not None:
                return self.get(name) == content
            self.put(name, content)
            return True
        more = self._retention.of_new(content) if self._retention else {}
        try:
            self._ask(
                lambda: self._client.put_object(**self._at(name), Body=content, IfNoneMatch="*", **more),
                sent=len(content),
            )
        except ClientError as error:
            if status_of(error) == 412:
                return self.get(name) == content  # an earlier try of ours whose answer was lost
            with self._refusals():
                raise
        return True

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            return b""
        wanted: dict[str, str] = {}
        if start or length is not None:
            wanted["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        try:
            content = self._ask(lambda: self._client.get_object(**self._at(name, **wanted))["Body"].read())
        except ClientError as error:
            if code_of(error) == "NoSuchKey" or (status_of(error) == 404 and code_of(error) != "NoSuchBucket"):
                raise Damaged(f"{name} is not in {self.address}") from error
            if status_of(error) == 416:
                raise Damaged(f"{name} in {self.address} ends before byte {start}") from error
            raise as_ours(error, str(self.address)) from error
        self._counts.add(requests=0, received=len(content))
        return content

    def size(self, name: str) -> int | None:
        try:
            return int(self._ask(lambda: self._client.head_object(**self._at(name)))["ContentLength"])
        except ClientError as error:
            if status_of(error) == 404:
                self._ask(lambda: self._client.head_bucket(Bucket=self.address.bucket), missing_bucket=True)
                return None
            raise as_ours(error, str(self.address)) from error

    def list(self, prefix: str, after: str = "") -> Iterator[Found]:
        for page in self._pages(prefix, after):
            for item in page.get("Contents", ()):
                yield Found(item["Key"].removeprefix(self._prefix), item["Size"], item["LastModified"])

    def folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix, delimiter="/"):
            for item in page.get("CommonPrefixes", ()):
                yield item["Prefix"].removeprefix(self._prefix + prefix).rstrip("/")

    def delete(self, names: Iterable[str]) -> frozenset[str]:
        if self._retention is not None:
            with self._refusals():
                kept = self._retention.delete([self._prefix + name for name in names])
            return frozenset(key.removeprefix(self._prefix) for key in kept)
        remaining = iter(names)
        while batch := list(islice(remaining, _DELETED_AT_ONCE)):
            self._delete(batch)
        return frozenset()

    def extend_locks(self, names: Iterable[str], end: datetime) -> None:
        retention = self._retention
        assert retention is not None
        with self._refusals(), ThreadPoolExecutor(_EXTENDED_AT_ONCE, "lock") as threads:
            for _ in threads.map(lambda name: retention.extend(self._prefix + name, end), names):
                pass

    def now(self) -> datetime:
        answer = self._ask_plainly(lambda: self._client.list_objects_v2(Bucket=self.address.bucket, MaxKeys=1))
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])

    def _delete(self, names: Sequence[str]) -> None:
        wanted: Any = {"Objects": [{"Key": self._prefix + name} for name in names], "Quiet": True}
        answer = self._ask_plainly(lambda: self._client.delete_objects(Bucket=self.address.bucket, Delete=wanted))
        for refused in answer.get("Errors", ()):
            raise as_ours(ClientError({"Error": refused}, "DeleteObjects"), str(self.address))

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What is refused within is raised as one of our errors."""
        try:
            yield
        except ClientError as error:
            if self._lock is not None and code_of(error) == "InvalidRequest":
                hint = "make a bucket with object lock, which cannot be turned on later everywhere; or do without"
                raise StoreRefused(f"{self.address} does not lock objects", hint) from error
            raise as_ours(error, str(self.address)) from error

    def _at(self, name: str, **more: str) -> Any:
        return {"Bucket": self.address.bucket, "Key": self._prefix + name, **more}

    def _pages(self, prefix: str, after: str = "", delimiter: str = "") -> Iterator[Any]:
        asked: dict[str, Any] = {"Bucket": self.address.bucket, "Prefix": self._prefix + prefix}
        asked |= {"StartAfter": self._prefix + after} if after else {}
        asked |= {"Delimiter": delimiter} if delimiter else {}
        while True:
            page = self._ask_plainly(lambda: self._client.list_objects_v2(**asked))
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _ask_plainly(self, request: Callable[[], _T], *, sent: int = 0) -> _T:
        with self._refusals():
            return self._ask(request, sent=sent)

    def _ask(self, request: Callable[[], _T], *, sent: int = 0, missing_bucket: bool = False) -> _T:
        """The answer, at last. Raises: ClientError for what a verb may know better, everything else as one of ours."""
        began, pause = time.monotonic(), 0.1
        while True:
            if self._cancelled.is_set():
                raise Cancelled(f"cancelled before {self.address} was asked for more")
            self._counts.add(sent=sent)
            try:
                return request()
            except (ClientError, BotoCoreError) as error:
                tried = time.monotonic() - began
                if not passes(error) or tried + pause > self._patience_s:
                    if isinstance(error, ClientError) and missing_bucket and status_of(error) == 404:
                        error.response["Error"]["Code"] = "NoSuchBucket"  # HEAD has no body that would say so
                    if isinstance(error, ClientError) and not missing_bucket and not passes(error):
                        raise
                    raise as_ours(error, str(self.address), tried) from error
            if self._cancelled.wait(pause * random.uniform(0.5, 1.0)):
                raise Cancelled(f"cancelled while {self.address} did not answer")
            pause = min(pause * 2, _LONGEST_PAUSE_S)
