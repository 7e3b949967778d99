"""An S3 bucket, or a prefix of one, as object store."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from urllib3.exceptions import HTTPError

from stampede.backup.store import Counts, Found, Lock
from stampede.blocks.object_store.address import S3Address
from stampede.blocks.object_store.documents import deletion, parsed, text, with_md5
from stampede.blocks.object_store.refusals import Refusal, as_ours, passes, refusal
from stampede.blocks.object_store.retention import Retention
from stampede.blocks.object_store.wire import Answer, Body, Wire
from stampede.errors import Cancelled, Damaged, StoreRefused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Address", "S3Store", "s3_client"]

_PATIENCE_S = 75.0  # SeaweedFS was seen to answer 500 for 25 s after a crash
_LONGEST_PAUSE_S = 5.0
_DELETED_AT_ONCE = 1000
_EXTENDED_AT_ONCE = 8


def s3_client(address: S3Address) -> S3Client:
    """boto3's client, for what is asked about a bucket and not about backups. It tries everything once."""
    from boto3.session import Session  # half a second of every backup, if it stood above
    from botocore.config import Config

    token = address.session_token
    return Session().client(
        "s3",
        endpoint_url=address.endpoint,
        region_name=address.region,
        aws_access_key_id=address.access_key,
        aws_secret_access_key=address.secret_key.get_secret_value(),
        aws_session_token=token.get_secret_value() if token else None,
        verify=address.ca_file,
        config=Config(
            signature_version="s3v4",
            connect_timeout=10,
            read_timeout=60,
            retries={"total_max_attempts": 1, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
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
        self._retention = Retention(lock, self._ask) if lock is not None else None
        self._cancelled = cancelled or threading.Event()
        self._wire = Wire(address)
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
        self._wire.close()

    def put(self, name: str, content: Body) -> None:
        with self._refusals():
            self._ask("PUT", self._prefix + name, headers=self._locked(content), body=content)

    def put_if_absent(self, name: str, content: bytes) -> bool:
        if not self.address.conditional_put:
            if self.size(name) is not None:
                return self.get(name) == content
            self.put(name, content)
            return True
        try:
            headers = {"If-None-Match": "*", **self._locked(content)}
            self._ask("PUT", self._prefix + name, headers=headers, body=content)
        except Refusal as refused:
            if refused.status == 412:
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
            content = self._ask("GET", self._prefix + name, headers=wanted).body
        except Refusal as refused:
            if refused.code == "NoSuchKey" or (refused.status == 404 and refused.code != "NoSuchBucket"):
                raise Damaged(f"{name} is not in {self.address}") from refused
            if refused.status == 416:
                raise Damaged(f"{name} in {self.address} ends before byte {start}") from refused
            raise as_ours(refused, str(self.address)) from refused
        self._counts.add(requests=0, received=len(content))
        return content

    def size(self, name: str) -> int | None:
        try:
            return int(self._ask("HEAD", self._prefix + name).headers["content-length"])
        except Refusal as refused:
            if refused.status == 404:
                self._require_bucket()
                return None
            raise as_ours(refused, str(self.address)) from refused

    def list(self, prefix: str, after: str = "") -> Iterator[Found]:
        for page in self._pages(prefix, after):
            for item in page.iterfind("{*}Contents"):
                written = datetime.fromisoformat(text(item, "LastModified"))
                yield Found(text(item, "Key").removeprefix(self._prefix), int(text(item, "Size")), written)

    def folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix, delimiter="/"):
            for item in page.iterfind("{*}CommonPrefixes"):
                yield text(item, "Prefix").removeprefix(self._prefix + prefix).rstrip("/")

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
        answer = self._ask_plainly("GET", query={"list-type": "2", "max-keys": "1"})
        return parsedate_to_datetime(answer.headers["date"])

    def _delete(self, names: Sequence[str]) -> None:
        body = deletion((self._prefix + name, "") for name in names)
        answer = self._ask_plainly("POST", query={"delete": ""}, headers=with_md5(body), body=body)
        for item in parsed(answer).iterfind("{*}Error"):
            raise as_ours(Refusal(answer.status, text(item, "Code"), text(item, "Message")), str(self.address))

    def _locked(self, content: Body) -> dict[str, str]:
        return self._retention.of_new(content) if self._retention is not None else {}

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What is refused within is raised as one of our errors."""
        try:
            yield
        except Refusal as refused:
            if self._lock is not None and refused.code == "InvalidRequest":
                hint = "make a bucket with object lock, which cannot be turned on later everywhere; or do without"
                raise StoreRefused(f"{self.address} does not lock objects", hint) from refused
            raise as_ours(refused, str(self.address)) from refused

    def _require_bucket(self) -> None:
        """HEAD has no body that would say whether it is the object that is missing, or the bucket."""
        try:
            self._ask("HEAD")
        except Refusal as refused:
            code = "NoSuchBucket" if refused.status == 404 else refused.code
            raise as_ours(Refusal(refused.status, code, refused.said), str(self.address)) from refused

    def _pages(self, prefix: str, after: str = "", delimiter: str = "") -> Iterator[ElementTree.Element]:
        asked = {"list-type": "2", "prefix": self._prefix + prefix}
        asked |= {"start-after": self._prefix + after} if after else {}
        asked |= {"delimiter": delimiter} if delimiter else {}
        while True:
            page = parsed(self._ask_plainly("GET", query=asked))
            yield page
            if text(page, "IsTruncated") != "true":
                return
            asked["continuation-token"] = text(page, "NextContinuationToken")

    def _ask_plainly(
        self,
        method: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
    ) -> Answer:
        with self._refusals():
            return self._ask(method, name, query=query, headers=headers, body=body)

    def _ask(
        self,
        method: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
    ) -> Answer:
        """The answer, at last. Raises: Refusal for what a verb may know better, everything else as one of ours."""
        began, pause = time.monotonic(), 0.1
        while True:
            if self._cancelled.is_set():
                raise Cancelled(f"cancelled before {self.address} was asked for more")
            self._counts.add(sent=len(body))
            try:
                answer = self._wire.ask(method, name, query, headers, body)
                if answer.status < 300:
                    return answer
                raise refusal(answer)
            except (Refusal, HTTPError) as error:
                tried = time.monotonic() - began
                if not passes(error) or tried + pause > self._patience_s:
                    if isinstance(error, Refusal) and not passes(error):
                        raise
                    raise as_ours(error, str(self.address), tried) from error
            if self._cancelled.wait(pause * random.uniform(0.5, 1.0)):
                raise Cancelled(f"cancelled while {self.address} did not answer")
            pause = min(pause * 2, _LONGEST_PAUSE_S)
