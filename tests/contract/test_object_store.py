"""What every object store promises (stampede/backup/store.py), held against the fake and a real SeaweedFS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from stampede.backup.store import Lock, ObjectStore
from stampede.blocks.object_store import S3Store
from stampede.blocks.object_store.s3 import s3_client
from stampede.errors import Damaged
from tests.fakes.object_store import FakeStore
from tests.lab.seaweedfs import SeaweedFS

Another = Callable[[], ObjectStore]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.functional)])
def another(request: pytest.FixtureRequest) -> Iterator[Another]:
    """Makes a store on the same objects as any other that it makes."""
    if request.param == "fake":
        yield FakeStore().view
        return
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    address = server.address(server.bucket(), "some/prefix")
    made: list[S3Store] = []

    def make() -> ObjectStore:
        made.append(S3Store(address))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.functional)])
def locking(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    """A store that locks what is put into it."""
    lock = Lock(mode="compliance", days=1)
    if request.param == "fake":
        fake = FakeStore()
        fake.lock = lock
        yield fake
        return
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    address = server.address(f"{server.bucket()}-lock", "some/prefix")
    client = s3_client(address)
    client.create_bucket(Bucket=address.bucket, ObjectLockEnabledForBucket=True)
    client.close()
    store = S3Store(address, lock=lock)
    yield store
    store.close()


@pytest.fixture
def store(another: Another) -> ObjectStore:
    return another()


def names(store: ObjectStore, prefix: str, after: str = "") -> list[str]:
    return [found.name for found in store.list(prefix, after)]


def test_what_was_put_is_got(store: ObjectStore) -> None:
    store.put("a/b", b"0123456789")
    assert store.get("a/b") == b"0123456789"
    assert store.size("a/b") == 10


def test_a_bytearray_is_put_as_well(store: ObjectStore) -> None:
    store.put("a", bytearray(b"abc"))
    assert store.get("a") == b"abc"


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("empty", b"")
    assert (store.get("empty"), store.size("empty")) == (b"", 0)


def test_putting_again_replaces(store: ObjectStore) -> None:
    store.put("a", b"one")
    store.put("a", b"two")
    assert store.get("a") == b"two"


def test_a_range_is_cut_where_the_object_ends(store: ObjectStore) -> None:
    store.put("a", b"0123456789")
    assert store.get("a", 2, 3) == b"234"
    assert store.get("a", 7) == b"789"
    assert store.get("a", 8, 100) == b"89"
    assert store.get("a", 3, 0) == b""


def test_a_range_behind_the_end_is_damage(store: ObjectStore) -> None:
    store.put("a", b"0123456789")
    with pytest.raises(Damaged, match="a"):
        store.get("a", 10, 5)


def test_an_object_that_is_not_there_is_damage_and_has_no_size(store: ObjectStore) -> None:
    assert store.size("nothing") is None
    with pytest.raises(Damaged, match="nothing"):
        store.get("nothing")


def test_only_the_first_put_if_absent_makes_the_object(store: ObjectStore, another: Another) -> None:
    assert store.put_if_absent("a", b"one") is True
    assert another().put_if_absent("a", b"two") is False
    assert store.get("a") == b"one"


def test_of_eight_threads_exactly_one_makes_the_object(another: Another) -> None:
    stores = [another() for _ in range(8)]
    for round_number in range(10):
        barrier = threading.Barrier(8)

        def put(number: int, name: str = f"race-{round_number}", together: threading.Barrier = barrier) -> bool:
            together.wait()
            return stores[number].put_if_absent(name, b"%d" % number)

        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(put, range(8)))
        assert won.count(True) == 1
        assert stores[0].get(f"race-{round_number}") == b"%d" % won.index(True)


def test_lists_are_sorted_and_begin_behind_a_name(store: ObjectStore) -> None:
    for name in ("s/3", "s/1", "s/2", "t/1"):
        store.put(name, name.encode())
    assert names(store, "s/") == ["s/1", "s/2", "s/3"]
    assert names(store, "s/", after="s/1") == ["s/2", "s/3"]
    assert names(store, "nothing/") == []
    assert [found.size for found in store.list("t/")] == [3]


def test_a_list_of_more_than_one_page_is_whole(store: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: store.put(f"many/{number:05}", b""), range(1005)))
    assert names(store, "many/") == [f"many/{number:05}" for number in range(1005)]
    store.delete(names(store, "many/"))
    assert names(store, "many/") == []


def test_folders_are_named_once(store: ObjectStore) -> None:
    for name in ("v/shop_db/s/1", "v/shop_db/s/2", "v/a~20b/p/1", "v/file", "repo"):
        store.put(name, b"x")
    assert list(store.folders("v/")) == ["a~20b", "shop_db"]


def test_what_is_deleted_is_gone_and_deleting_again_is_no_error(store: ObjectStore) -> None:
    store.put("a", b"x")
    store.put("b", b"x")
    store.delete(["a", "never-there"])
    store.delete(["a"])
    assert names(store, "") == ["b"]


def test_times_are_the_stores_own(store: ObjectStore) -> None:
    before = store.now()
    store.put("a", b"x")
    (found,) = store.list("a")
    assert before - timedelta(seconds=2) <= found.written <= store.now() + timedelta(seconds=2)


def test_requests_and_bytes_are_counted(store: ObjectStore) -> None:
    store.put("a", b"x" * 1000)
    store.get("a", 0, 10)
    assert (store.counts.requests, store.counts.sent, store.counts.received) == (2, 1000, 10)


def test_what_is_locked_is_not_deleted_and_named(locking: ObjectStore) -> None:
    locking.put("f/a", b"content")
    assert locking.put_if_absent("f/b", b"content") is True
    assert locking.put_if_absent("f/b", b"other") is False
    assert locking.delete(["f/a", "f/b", "f/c"]) == {"f/a", "f/b"}
    assert (names(locking, ""), locking.get("f/a")) == (["f/a", "f/b"], b"content")


def test_a_lock_is_never_made_shorter_and_what_is_not_there_has_none(locking: ObjectStore) -> None:
    locking.put("f/a", b"content")
    for days in (30, 5):
        locking.extend_locks(["f/a", "f/b"], locking.clock + timedelta(days=days))
    assert locking.delete(["f/a"]) == {"f/a"}
