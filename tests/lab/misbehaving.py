"""A server in front of a real S3 server that passes on what it is asked, or misbehaves, request by request."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

Behaviour = Literal[
    "pass",
    "slow",  # half a second later
    "busy",  # 503 SlowDown
    "error",  # 500 InternalError
    "elsewhere",  # 301, with the region that is the right one
    "stuck",  # nothing, ever
    "trickle",  # ten bytes a second
    "cut",  # half of the content, then the connection is closed
    "reset upload",  # the connection is reset when half of the content was read
    "lose answer",  # done, but the connection is reset before that is said
]


class Asked(NamedTuple):
    """A request: its verb, what follows the host in its address, and how many of that verb came before it."""

    verb: str
    path: str
    number: int


class Proxy:
    """`plan` decides on each request, `seen` has them all with what was decided."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.host, self.port = str(parts.hostname), int(parts.port or 80)
        self.plan: Callable[[Asked], Behaviour] = lambda asked: "pass"
        self.seen: list[tuple[Asked, Behaviour]] = []
        self.over = threading.Event()
        self.endpoint = ""
        self._lock = threading.Lock()

    def decide(self, verb: str, path: str) -> Behaviour:
        with self._lock:
            asked = Asked(verb, path, sum(one.verb == verb for one, _ in self.seen))
            decided = self.plan(asked)
            self.seen.append((asked, decided))
            return decided

    def first(self, count: int, behaviour: Behaviour, verb: str = "", path: str = "") -> None:
        """The first `count` requests of this verb, with this in their path, are treated so; others are passed on."""
        left = [count]

        def plan(asked: Asked) -> Behaviour:
            if verb in ("", asked.verb) and path in asked.path and left[0]:
                left[0] -= 1
                return behaviour
            return "pass"

        self.plan = plan


@contextmanager
def misbehaving(upstream: str) -> Iterator[Proxy]:
    """A proxy of the server at `upstream`, while the context is open."""
    proxy = Proxy(upstream)

    class Own(_Requests):
        own = proxy

    server = _Server(("127.0.0.1", 0), Own)
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are what this is about."""


class _Requests(BaseHTTPRequestHandler):
    own: ClassVar[Proxy]
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        match behaviour := self.own.decide(self.command, self.path):
            case "reset upload":
                self.rfile.read(length // 2)
                return self._reset()
            case "slow":
                self.own.over.wait(0.5)
        body = self.rfile.read(length)
        match behaviour:
            case "stuck":
                self.own.over.wait()
                return self._reset()
            case "busy":
                return self._refuse(503, "SlowDown")
            case "error":
                return self._refuse(500, "InternalError")
            case "elsewhere":
                return self._refuse(301, "PermanentRedirect", ("x-amz-bucket-region", "eu-central-1"))
        status, headers, content = self._passed_on(body)
        if behaviour == "lose answer":
            return self._reset()
        self._head(status, headers)
        with suppress(OSError):
            self._send(content, behaviour)
        return None

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - as http.server has them

    def log_message(self, format: str, *args: object) -> None:
        return

    def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.own.host, self.own.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("expect", "connection")}
        try:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except OSError:
            return 503, [("Content-Length", "0")], b""
        finally:
            upstream.close()

    def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()

    def _send(self, content: bytes, behaviour: Behaviour) -> None:
        match behaviour:
            case "cut":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            case "trickle":
                for at in range(len(content)):
                    if self.own.over.is_set():
                        break
                    self.wfile.write(content[at : at + 1])
                    time.sleep(0.1)
                self.close_connection = True
            case _:
                self.wfile.write(content)

    def _refuse(self, status: int, code: str, *headers: tuple[str, str]) -> None:
        content = f"<Error><Code>{code}</Code><Message>as planned</Message></Error>".encode()
        content = b"" if self.command == "HEAD" else content
        self._head(status, [*headers, ("Content-Length", str(len(content)))])
        self.wfile.write(content)

    def _reset(self) -> None:
        """Closes so that the other side sees a reset, not an end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
