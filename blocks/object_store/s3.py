"""An S3 bucket, or a prefix of one, as object store."""

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from urllib3.exceptions import HTTPError

from stampede.backup.store import Counts, Found
from stampede.blocks.object_store.address import S3Address
from stampede.blocks.object_store.refusals import Refusal, as_ours, passes, refusal
from stampede.blocks.object_store.wire import Answer, Body, Wire
from stampede.errors import Cancelled, Damaged

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Address", "S3Store", "s3_client"]

_PATIENCE_S = 75.0  # SeaweedFS was seen to answer 500 for 25 s after a crash
_LONGEST_PAUSE_S = 5.0
_DELETED_AT_ONCE = 1000


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

    Once `cancelled` is set, what does not work at once raises Cancelled.
    """

    def __init__(
        self, address: S3Address, *, patience_s: float = _PATIENCE_S, cancelled: threading.Event | None = None
    ) -> None:
        self.address, self._patience_s = address, patience_s
        self._cancelled = cancelled or threading.Event()
        self._wire = Wire(address)
        self._prefix = f"{address.prefix.strip('/')}/" if address.prefix.strip("/") else ""
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        return self._counts

    def close(self) -> None:
        """Afterwards it has no connection open."""
        self._wire.close()

    def put(self, name: str, content: Body) -> None:
        self._ask_plainly("PUT", self._prefix + name, body=content)

    def put_if_absent(self, name: str, content: bytes) -> bool:
        if not self.address.conditional_put:
            if self.size(name) is not None:
                return self.get(name) == content
            self.put(name, content)
            return True
        try:
            self._ask("PUT", self._prefix + name, headers={"If-None-Match": "*"}, body=content)
        except Refusal as refused:
            if refused.status == 412:
                return self.get(name) == content  # an earlier try of ours whose answer was lost
            raise as_ours(refused, str(self.address)) from refused
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
                written = datetime.fromisoformat(_text(item, "LastModified"))
                yield Found(_text(item, "Key").removeprefix(self._prefix), int(_text(item, "Size")), written)

    def folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(prefix, delimiter="/"):
            for item in page.iterfind("{*}CommonPrefixes"):
                yield _text(item, "Prefix").removeprefix(self._prefix + prefix).rstrip("/")

    def delete(self, names: Iterable[str]) -> None:
        remaining = iter(names)
        while batch := list(islice(remaining, _DELETED_AT_ONCE)):
            self._delete(batch)

    def now(self) -> datetime:
        answer = self._ask_plainly("GET", query={"list-type": "2", "max-keys": "1"})
        return parsedate_to_datetime(answer.headers["date"])

    def _delete(self, names: Sequence[str]) -> None:
        keys = "".join(f"<Object><Key>{escape(self._prefix + name)}</Key></Object>" for name in names)
        body = f'<Delete xmlns="{_NAMESPACE}"><Quiet>true</Quiet>{keys}</Delete>'.encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        answer = self._ask_plainly("POST", query={"delete": ""}, headers={"Content-MD5": digest}, body=body)
        for item in _parsed(answer).iterfind("{*}Error"):
            raise as_ours(Refusal(answer.status, _text(item, "Code"), _text(item, "Message")), str(self.address))

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
            page = _parsed(self._ask_plainly("GET", query=asked))
            yield page
            if _text(page, "IsTruncated") != "true":
                return
            asked["continuation-token"] = _text(page, "NextContinuationToken")

    def _ask_plainly(
        self,
        method: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
    ) -> Answer:
        try:
            return self._ask(method, name, query=query, headers=headers, body=body)
        except Refusal as refused:
            raise as_ours(refused, str(self.address)) from refused

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


_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def _parsed(answer: Answer) -> ElementTree.Element:
    return ElementTree.fromstring(answer.body)  # noqa: S314 - expat limits what entities may expand to


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""
