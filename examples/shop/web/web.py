"""The shop's page: its version, how often it was seen, and what the worker has done. State is in Redis.

GET /         the page, as text with `Accept: text/plain`
GET /healthy  200 while Redis answers, 503 otherwise
POST /jobs    give the worker a number to factor (the body; a random one if it is empty)

On SIGTERM it goes on answering for a moment, with `Connection: close`, so that whoever keeps connections open opens
the next one elsewhere; then it lets the requests in progress end. So stopping it costs nobody a request.
"""

import html
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import redis

VERSION = os.environ.get("VERSION", "0")
SETTINGS = Path("/etc/shop.json")
REDIS_AUTH = Path("/run/secrets/redis-auth")  # one line: requirepass WORD
PORT = 8080
FAREWELL_S = 1.0  # how long keep-alive connections are told to close after SIGTERM
LAST_REQUEST_S = 8.0  # how long a request in progress may still take
LONGEST_BODY = 100


class Shop(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, store: redis.Redis, title: str) -> None:
        super().__init__(("", PORT), Page)
        self.store, self.title = store, title
        self.closing = threading.Event()
        self.in_progress = 0
        self.count = threading.Condition()

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close_politely(self) -> None:
        self.closing.set()
        time.sleep(FAREWELL_S)
        self.shutdown()
        self.server_close()
        with self.count:
            self.count.wait_for(lambda: not self.in_progress, LAST_REQUEST_S)


class Page(BaseHTTPRequestHandler):
    server: Shop
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        self._answer({"/": self._page, "/healthy": self._healthy}.get(self.path, self._not_found))

    def do_POST(self) -> None:
        self._answer(self._take_job if self.path == "/jobs" else self._not_found)

    def _answer(self, make) -> None:
        with self.server.count:
            self.server.in_progress += 1
        try:
            try:
                status, kind, text = make()
            except redis.RedisError as error:
                status, kind, text = HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"Redis: {error}\n"
            self._send(status, kind, text.encode())
        finally:
            with self.server.count:
                self.server.in_progress -= 1
                self.server.count.notify_all()

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.server.closing.is_set() or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _page(self):
        transaction = self.server.store.pipeline(transaction=False)
        seen, jobs, done = transaction.incr("hits").llen("jobs").lrange("results", 0, 4).execute()
        lines = [
            f"{self.server.title}, version {VERSION}",
            f"served by {socket.gethostname()}",
            f"seen {seen} times",
            f"{jobs} jobs waiting; last results:",
            *(f"  {line}" for line in done),
        ]
        text = "\n".join(lines) + "\n"
        if "text/plain" in self.headers.get("Accept", ""):
            return HTTPStatus.OK, "text/plain", text
        form = '<form method="post" action="/jobs"><button>Give the worker a job</button></form>'
        return HTTPStatus.OK, "text/html", f"<!doctype html><title>Shop</title><pre>{html.escape(text)}</pre>{form}\n"

    def _healthy(self):
        self.server.store.ping()
        return HTTPStatus.OK, "text/plain", "healthy\n"

    def _take_job(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            self.close_connection = True  # what is left of the body must not pass for a request
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", f"at most {LONGEST_BODY} bytes\n"
        body = self.rfile.read(int(length)).strip()
        number = int(body) if body.isdigit() else random.randrange(10**9, 10**12)
        self.server.store.rpush("jobs", number)
        return HTTPStatus.ACCEPTED, "text/plain", f"{number} is waiting\n"

    def _not_found(self):
        return HTTPStatus.NOT_FOUND, "text/plain", "no such page\n"

    def log_message(self, *_: object) -> None:
        """One line per request would be all there is to see in the logs."""


def main() -> None:
    password = REDIS_AUTH.read_text().split()[1]
    title = json.loads(SETTINGS.read_text())["title"]
    store = redis.Redis("redis", password=password, decode_responses=True, socket_timeout=2)
    shop = Shop(store, title)
    farewell = threading.Thread(target=shop.close_politely)
    signal.signal(signal.SIGTERM, lambda *_: farewell.start())
    print(f"shop {VERSION} answers on port {PORT}")
    shop.serve_forever()
    farewell.join()
    print("closed")


if __name__ == "__main__":
    main()
