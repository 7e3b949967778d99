"""What every pool promises of volumes that arrive, as far as it goes without anybody who brings them."""

from __future__ import annotations

import pytest

from stampede.blocks.volumes import ext4
from stampede.errors import BadInput, Refused, UnknownName
from stampede.volumes.room import MIB
from tests.lab.pool_hosts import Host, make, reserved
from tests.lab.pools import wanted


def test_a_volume_that_arrives_is_listed_apart_and_takes_its_name_and_room(host: Host) -> None:
    assert host.pool.arrivals() == ()
    folder = host.pool.begin_arrival(wanted("came"), "a/shop/uploads@1")
    assert host.pool.begin_arrival(wanted("came"), "a/shop/uploads@1") == folder
    (one,) = host.pool.arrivals()
    assert (one.name, one.arriving, one.size_bytes, one.stack) == ("came", 0.0, 32 * MIB, "shop")
    assert (host.pool.volumes(), host.pool.arrivals("blog")) == ((), ())
    assert reserved(host) == int(32 * MIB * 1.2)
    for other in ("a/shop/uploads@2", "b/shop/uploads@1"):
        with pytest.raises(Refused):
            host.pool.begin_arrival(wanted("came"), other)
    with pytest.raises(Refused), host.pool.receive(wanted("came")):
        pytest.fail("there is one of that name")
    make(host, "there")
    with pytest.raises(Refused):
        host.pool.begin_arrival(wanted("there"), "a/shop/uploads@1")
    with pytest.raises(UnknownName):
        host.pool.snapshot(["came"])


def test_it_is_a_volume_once_it_is_complete_and_not_before(host: Host) -> None:
    folder = host.pool.begin_arrival(wanted("came"), "a/shop/uploads@1")
    with pytest.raises(Refused):
        host.pool.finish_arrival("came")
    ext4.make(folder / "image", 32 * MIB)
    (folder / "image.complete").touch()
    for _ in range(2):
        found = host.pool.finish_arrival("came")
        assert (found.name, found.mounted, found.arriving, found.trouble) == ("came", True, None, "")
    assert (host.pool.arrivals(), host.pool.volumes()) == ((), (found,))
    assert host.pool.drop_arrival("came") is False
    assert len(host.pool.snapshot(["came"])) == 1


def test_one_that_is_dropped_leaves_its_name_and_room(host: Host) -> None:
    host.pool.begin_arrival(wanted("came"), "a/shop/uploads@1")
    assert host.pool.drop_arrival("came") is True
    assert host.pool.drop_arrival("came") is False
    assert (host.pool.arrivals(), reserved(host)) == ((), 0)
    assert make(host, "came").mounted


def test_what_does_not_arrive_is_not_known(host: Host) -> None:
    host.pool.ensure_pool()
    with pytest.raises(UnknownName):
        host.pool.mount_arrival("nothing")
    with pytest.raises(UnknownName):
        host.pool.finish_arrival("nothing")
    with pytest.raises(BadInput):
        host.pool.mount_arrival("../up")
    with pytest.raises(BadInput):
        host.pool.drop_arrival("../up")
