"""Requests to an S3 server, signed, over connections that are kept: one try each, the store above tries again.

boto3 would do, but takes half a second to start, as long as a small backup, and 3 ms of processor for each request.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import PoolManager, ProxyManager, Timeout

from stampede.blocks.object_store.address import S3Address
from stampede.blocks.object_store.signing import path_of, query_of, signed
from stampede.blocks.object_store.stalls import Stalls

_TIMEOUT = Timeout(connect=10, read=60)
_CONNECTIONS = 16
_PIECE = 1 << 20
_DEFAULT_PORTS = {"http": 80, "https": 443}

Body = bytes | bytearray | memoryview


class Answer(NamedTuple):
    """`headers` by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """The connections to one server. May be used from several threads."""

    def __init__(self, address: S3Address) -> None:
        self._address = address
        parts = urlsplit(address.url)
        plain_port = parts.port in (None, _DEFAULT_PORTS.get(parts.scheme))
        self._host = (parts.hostname or "") if plain_port else parts.netloc.rpartition("@")[2]
        self._base = parts.path
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._stalls = Stalls()
        self._pool = _pool(parts.scheme, parts.hostname or "", address.ca_file)

    def ask(
        self,
        method: str,
        name: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
    ) -> Answer:
        """What the server answers about an object of the bucket, or the bucket itself.

        Raises: urllib3.exceptions.HTTPError when it does not, or its answer is cut short.
        """
        path = path_of(f"{self._base}/{self._address.bucket}{'/' + name if name else ''}")
        asked = query_of(query or {})
        told = {"Host": self._host, **(headers or {})}
        if method in ("PUT", "POST"):
            told["Content-Length"] = str(len(body))
        answer = self._pool.urlopen(
            method,
            f"{self._origin}{path}{'?' + asked if asked else ''}",
            headers=signed(self._address, method, path, asked, told, datetime.now(UTC)),
            body=_pieces(body) if body else None,
            timeout=_TIMEOUT,
            retries=False,
            redirect=False,
            decode_content=False,
            preload_content=False,
        )
        with self._stalls.ended(answer):
            content = answer.data
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, content)

    def close(self) -> None:
        """Afterwards it has no connection open."""
        self._stalls.close()
        self._pool.clear()


def _pool(scheme: str, host: str, ca_file: str | None) -> PoolManager:
    context = ssl.create_default_context(cafile=ca_file) if scheme == "https" else None
    proxy = None if proxy_bypass(host) else getproxies().get(scheme)
    if proxy:
        return ProxyManager(proxy, maxsize=_CONNECTIONS, block=True, ssl_context=context)
    return PoolManager(maxsize=_CONNECTIONS, block=True, ssl_context=context)


def _pieces(body: Body) -> Iterator[memoryview]:
    """Each is sent within the time limit, which would hold for the whole body otherwise."""
    whole = memoryview(body)
    for at in range(0, len(whole), _PIECE):
        yield whole[at : at + _PIECE]
