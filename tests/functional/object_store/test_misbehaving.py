"""A server or a network that misbehaves, in front of a real SeaweedFS: what passes is survived, the rest is said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from urllib3 import Timeout

from stampede.blocks.object_store import S3Address, S3Store, stalls, wire
from stampede.errors import ClockSkew, StoreUnavailable, WrongRegion
from tests.lab.misbehaving import Behaviour, Proxy, misbehaving
from tests.lab.seaweedfs import SeaweedFS

pytestmark = pytest.mark.functional

MIB = 1 << 20
CONTENT = os.urandom(3 * MIB)

Through = Callable[..., S3Store]


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[Proxy]:
    with misbehaving(seaweedfs.endpoint) as running:
        yield running


@pytest.fixture
def through(proxy: Proxy, seaweedfs: SeaweedFS) -> Iterator[Through]:
    """Makes stores that reach a bucket of this test's own by the proxy."""
    bucket, made = seaweedfs.bucket(), list[S3Store]()

    def make(patience_s: float = 20.0, **changed: object) -> S3Store:
        address = seaweedfs.address(bucket, "prefix").model_dump() | {"endpoint": proxy.endpoint} | changed
        made.append(S3Store(S3Address.model_validate(address), patience_s=patience_s))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for longer than a second or two."""
    monkeypatch.setattr(wire, "_TIMEOUT", Timeout(connect=1, read=1))
    monkeypatch.setattr(stalls, "_LENIENT_S", 2.0)
    monkeypatch.setattr(stalls, "_SLOWEST", 10 * MIB)
    monkeypatch.setattr(stalls, "_LOOK_EVERY_S", 0.2)


@pytest.mark.parametrize("verb", ["PUT", "GET", "HEAD", "POST"])
@pytest.mark.parametrize("trouble", ["busy", "error", "lose answer"])
def test_what_passes_costs_another_try_and_nothing_else(
    proxy: Proxy, through: Through, trouble: Behaviour, verb: str
) -> None:
    store = through()
    proxy.first(2, trouble, verb)
    store.put("a", CONTENT)
    assert store.get("a") == CONTENT
    assert store.size("a") == len(CONTENT)
    assert store.delete(["b"]) == frozenset()
    assert [asked.verb for asked, behaviour in proxy.seen if behaviour == trouble] == [verb, verb]
    assert [found.size for found in store.list("")] == [len(CONTENT)]


def test_content_that_is_cut_is_fetched_again(proxy: Proxy, through: Through) -> None:
    store = through()
    store.put("a", CONTENT)
    proxy.first(3, "cut", "GET")
    assert store.get("a", MIB, MIB) == CONTENT[MIB : 2 * MIB]
    assert [behaviour for _, behaviour in proxy.seen[1:]] == ["cut", "cut", "cut", "pass"]


def test_an_upload_that_is_reset_in_the_middle_is_sent_again(proxy: Proxy, through: Through) -> None:
    store = through()
    proxy.first(2, "reset upload", "PUT")
    store.put("a", CONTENT)
    assert store.get("a") == CONTENT
    proxy.first(1, "reset upload", "PUT")
    assert store.put_if_absent("b", CONTENT) is True


def test_a_conditional_put_whose_answer_was_lost_is_ours(proxy: Proxy, through: Through) -> None:
    store, other = through(), through()
    proxy.first(1, "lose answer", "PUT")
    assert store.put_if_absent("a", b"ours") is True
    assert other.put_if_absent("a", b"theirs") is False
    assert [asked.verb for asked, _ in proxy.seen][:3] == ["PUT", "PUT", "GET"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("trouble", ["stuck", "trickle"])
def test_a_server_that_sends_next_to_nothing_is_asked_again(proxy: Proxy, through: Through, trouble: Behaviour) -> None:
    store = through()
    store.put("a", CONTENT)
    proxy.first(2, trouble, "GET")
    began = time.monotonic()
    assert store.get("a") == CONTENT
    assert 2 < time.monotonic() - began < 15


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("trouble", ["stuck", "busy", "error", "lose answer", "reset upload"])
def test_what_does_not_pass_is_unavailable_once_patience_is_over(
    proxy: Proxy, through: Through, trouble: Behaviour
) -> None:
    store = through(patience_s=3.0)
    proxy.plan = lambda asked: trouble
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r" for \d+ s: ") as caught:
        store.put("a", CONTENT)
    assert caught.value.hint
    assert time.monotonic() - began < 10


def test_a_head_that_works_does_not_mean_that_a_get_does(proxy: Proxy, through: Through) -> None:
    store = through(patience_s=2.0)
    store.put("a", CONTENT)
    proxy.first(1000, "error", "GET", "prefix/a")
    assert store.size("a") == len(CONTENT)
    with pytest.raises(StoreUnavailable, match="answered 500"):
        store.get("a")


def test_another_region_is_named(proxy: Proxy, through: Through) -> None:
    proxy.plan = lambda asked: "elsewhere"
    with pytest.raises(WrongRegion, match="use region eu-central-1"):
        through().put("a", b"x")
    assert len(proxy.seen) == 1


def test_a_clock_of_ours_that_is_wrong_is_named(through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fast(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(hours=2)

    monkeypatch.setattr(wire, "datetime", Fast)
    with pytest.raises(ClockSkew, match="timedatectl"):
        through().put("a", b"x")
