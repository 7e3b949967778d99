"""Who is told: a webhook and a mail server of a test's own, on loopback."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "s3cr3t-t0ken"


@dataclass
class Webhook:
    """What it was sent, in order. `status` is what it answers."""

    port: int = 0
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/{TOKEN}"

    def subjects(self) -> list[str]:
        return [str(one["subject"]) for one in self.got]

    def about(self, words: str) -> list[str]:
        """The texts of messages whose subject has these words."""
        return [str(one["text"]) for one in self.got if words in one["subject"]]


@dataclass
class MailServer:
    """The letters it took, headers and all."""

    port: int = 0
    letters: list[str] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A receiver that answers until the end of the context."""
    receiver = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(receiver.status)
            self.end_headers()
            self.wfile.write(b"as you like")

        def log_message(self, *_: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as receiver.port:
        yield receiver


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A mail server that takes everything, until the end of the context."""
    receiver = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 lab")
            while line := self.rfile.readline().decode().strip():
                verb = line.upper().split(" ", 1)[0]
                if verb == "DATA":
                    self._say("354 go on")
                    receiver.letters.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                self._say("221 bye" if verb == "QUIT" else "250 ok")
                if verb == "QUIT":
                    return

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as receiver.port:
        yield receiver


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
