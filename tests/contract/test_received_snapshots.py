"""What every pool promises of snapshots whose content comes from elsewhere, such as backups."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stampede.blocks.volumes import ext4
from stampede.errors import Refused, UnknownName
from stampede.volumes.models import Snapshot
from stampede.volumes.room import MIB, SOFT_WATERMARK
from tests.lab.pool_hosts import Host, data, make, read
from tests.lab.pools import wanted

COMING = Snapshot(
    id="20991126T192200.123Z",
    volume="shop_uploads",
    stack="shop",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    size_bytes=32 * MIB,
    consistency="unmounted",
    together=("shop_uploads",),
)


def test_a_snapshot_received_from_elsewhere_is_there_when_it_is_whole(host: Host) -> None:
    make(host, content="kept")
    before = host.pool.snapshot(["shop_uploads"])[0]
    with host.pool.receive_snapshot(COMING) as image:
        ext4.make(image, 32 * MIB)
        host.pool.bring_back()
        assert host.pool.snapshots("shop_uploads") == (before,)
        with pytest.raises(Refused), host.pool.receive_snapshot(COMING):
            pytest.fail("two cannot write one snapshot")
    assert host.pool.snapshots("shop_uploads") == (before, COMING)
    safety = host.pool.restore("shop_uploads", COMING.id)
    assert not (data(host) / "file").exists()
    host.pool.restore("shop_uploads", safety.id)
    assert read(host) == "kept"
    with pytest.raises(Refused), host.pool.receive_snapshot(COMING):
        pytest.fail("it is there already")


def test_a_snapshot_that_did_not_come_whole_is_not_there(host: Host) -> None:
    make(host)

    def break_off() -> None:
        with host.pool.receive_snapshot(COMING) as image:
            image.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert host.pool.snapshots("shop_uploads") == ()
    other = COMING.model_copy(update={"volume": "nothing", "together": ("nothing",)})
    with pytest.raises(UnknownName), host.pool.receive_snapshot(other):
        pytest.fail("there is no such volume")


def test_nothing_is_received_that_would_fill_the_pool(host: Host) -> None:
    make(host)
    status = host.pool.status()
    assert status is not None
    left = int(status.size_bytes * SOFT_WATERMARK) - status.used_bytes
    too_much = left + status.size_bytes // 20  # others may write to the disk of this one
    for _ in range(2):
        with pytest.raises(Refused, match="too full"), host.pool.receive_snapshot(COMING, data_bytes=too_much):
            pytest.fail("other snapshots would be dropped for it")
        with pytest.raises(Refused, match="too full"), host.pool.receive(wanted("came"), data_bytes=too_much):
            pytest.fail("other snapshots would be dropped for it")
        with pytest.raises(Refused, match="too full"):
            host.pool.begin_arrival(wanted("came"), "a/shop/uploads@1", data_bytes=too_much)
    assert (host.pool.snapshots("shop_uploads"), host.pool.arrivals()) == ((), ())
    with host.pool.receive_snapshot(COMING, data_bytes=left // 2) as image:
        ext4.make(image, 32 * MIB)
    assert host.pool.snapshots("shop_uploads") == (COMING,)
