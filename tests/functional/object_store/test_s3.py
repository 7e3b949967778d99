"""What an S3 server refuses, and a network that breaks, on a real SeaweedFS and on servers that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pydantic import SecretStr

from stampede.blocks.object_store import S3Address, S3Store
from stampede.errors import (
    BucketMissing,
    ClockSkew,
    Damaged,
    StoreRefused,
    StoreUnavailable,
    WrongCredentials,
    WrongRegion,
)
from tests.conftest import pick_port
from tests.lab.certificate import write_certificate
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional


def test_an_access_key_that_is_not_known_is_refused_at_once(seaweedfs: SeaweedFS) -> None:
    store = S3Store(seaweedfs.address(seaweedfs.bucket(), access_key="nobody"))
    with pytest.raises(WrongCredentials, match="access key"):
        store.put("a", b"x")
    with pytest.raises(WrongCredentials):
        list(store.list(""))
    store.close()


def test_a_wrong_secret_is_refused_at_once(seaweedfs: SeaweedFS) -> None:
    store = S3Store(seaweedfs.address(seaweedfs.bucket(), secret_key=SecretStr("wrong")))
    with pytest.raises(WrongCredentials):
        store.get("a")
    store.close()


def test_a_missing_bucket_says_so_and_is_no_missing_object(seaweedfs: SeaweedFS) -> None:
    store = S3Store(seaweedfs.address("no-such-bucket"))
    with pytest.raises(BucketMissing):
        store.get("a")
    with pytest.raises(BucketMissing):
        store.size("a")
    with pytest.raises(BucketMissing):
        list(store.list(""))
    store.close()


def test_an_endpoint_where_nothing_listens_is_unavailable_and_says_for_how_long() -> None:
    with pytest.raises(StoreUnavailable, match=r"did not answer for .* \(check its address"):
        S3Store(address(pick_port()), patience_s=0.5).put("a", b"x")


def test_a_server_with_a_certificate_of_its_own_is_trusted_by_its_ca_alone(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("weed")
    certificate = write_certificate(folder / "certificate")
    server = SeaweedFS(folder, certificate)
    server.start()
    try:
        plain = server.address(server.bucket())
        secure = plain.model_copy(update={"endpoint": server.secure_endpoint})
        with pytest.raises(StoreRefused, match="not trusted"):
            S3Store(secure).put("a", b"x")
        store = S3Store(secure.model_copy(update={"ca_file": str(certificate)}))
        store.put("a", b"x" * 3_000_000)
        assert store.get("a", 2_999_000) == b"x" * 1000
        store.close()
    finally:
        server.kill()


class Scripted(BaseHTTPRequestHandler):
    """Answers with what the script says, one entry per request; the last one is repeated."""

    script: ClassVar[list[tuple[int, str]]] = []
    seen: ClassVar[list[str]] = []
    cut: ClassVar[bool] = False

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append(self.command)
        status, code = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if status == 0:
            self.close_connection = True
            self.connection.close()
            return
        body = b"content" if status < 300 else f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (100 if code == "cut" else 0)))
        self.end_headers()
        self.wfile.write(body)
        if code == "cut":
            self.close_connection = True

    do_GET = do_PUT = do_HEAD = do_POST = answer  # noqa: N815 - as http.server has them

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def scripted(*script: tuple[int, str]) -> Iterator[S3Store]:
    Scripted.script, Scripted.seen = list(script), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    store = S3Store(address(server.server_address[1]), patience_s=5)
    try:
        yield store
    finally:
        store.close()
        server.shutdown()
        server.server_close()


def address(port: int) -> S3Address:
    where = f"http://127.0.0.1:{port}"
    return S3Address(bucket="b", endpoint=where, access_key="a", secret_key=SecretStr("s"))


@pytest.mark.parametrize(
    "trouble",
    [
        (500, "InternalError"),
        (503, "SlowDown"),
        (429, "TooManyRequests"),
        (0, ""),
        (400, "RequestTimeout"),
        (200, "cut"),
    ],
)
def test_what_passes_is_tried_again_until_it_works(trouble: tuple[int, str]) -> None:
    with scripted(trouble, trouble, (200, "")) as store:
        assert store.get("a") == b"content"
        assert Scripted.seen == ["GET"] * 3
        assert store.counts.requests == 3


def test_errors_of_the_server_that_go_on_are_unavailable() -> None:
    with scripted((503, "SlowDown")) as store:
        store._patience_s = 2.0
        with pytest.raises(StoreUnavailable, match="503"):
            store.put("a", b"x")
        assert len(Scripted.seen) > 1


def test_a_conditional_put_whose_answer_was_lost_is_ours_after_all() -> None:
    with scripted((0, ""), (412, "PreconditionFailed"), (200, "")) as store:
        assert store.put_if_absent("a", b"content") is True
        assert Scripted.seen == ["PUT", "PUT", "GET"]


def test_a_clock_that_is_wrong_is_named_and_not_retried() -> None:
    with scripted((403, "RequestTimeTooSkewed")) as store, pytest.raises(ClockSkew, match="timedatectl"):
        store.put("a", b"x")
    assert Scripted.seen == ["PUT"]


def test_a_bucket_in_another_region_is_named_and_not_retried() -> None:
    with scripted((400, "AuthorizationHeaderMalformed")) as store, pytest.raises(WrongRegion, match="region"):
        store.put("a", b"x")
    assert Scripted.seen == ["PUT"]


def test_objects_are_there_and_whole_after_the_server_was_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = SeaweedFS(tmp_path_factory.mktemp("weed"))
    server.start()
    try:
        store = S3Store(server.address(server.bucket()))
        for number in range(20):
            store.put(f"o/{number}", b"%d" % number * 1000)
        server.kill()
        with pytest.raises(StoreUnavailable):
            S3Store(store.address, patience_s=0.2).get("o/1")
        server.start()
        assert [store.get(f"o/{number}") for number in range(20)] == [b"%d" % number * 1000 for number in range(20)]
        with pytest.raises(Damaged):
            store.get("o/20")
        store.close()
    finally:
        server.kill()
