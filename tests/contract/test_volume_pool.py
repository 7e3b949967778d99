"""What every pool of volumes promises (stampede/blocks/volumes/contract.py), held against the fake and real kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from stampede.blocks.volumes import ext4
from stampede.errors import BadInput, Foreign, Refused, UnknownName
from stampede.volumes.room import MIB
from tests.lab.pool_hosts import Host, data, make, read, reserved, write
from tests.lab.pools import wanted


def test_a_host_without_a_pool_has_no_volumes_and_nothing_to_bring_back(host: Host) -> None:
    assert host.pool.status() is None
    assert host.pool.pressure() is None
    assert host.pool.volumes() == ()
    assert host.pool.bring_back() == ()
    with pytest.raises(UnknownName):
        host.pool.mount("shop_uploads")


def test_a_pool_that_is_there_stays_as_it_is(host: Host) -> None:
    first = host.pool.ensure_pool()
    make(host)
    again = host.pool.ensure_pool()
    assert (again.driver, again.size_bytes, again.volumes) == (first.driver, first.size_bytes, 1)
    assert host.pool.status() == again
    assert host.pool.pressure() == again.pressure == "none"


def test_a_new_volume_is_empty_mounted_and_says_what_it_is(host: Host) -> None:
    found = host.pool.ensure_volume(wanted("shop_uploads", mib=32, tier="grüße"))
    assert (found.name, found.stack, found.host, found.size_bytes) == ("shop_uploads", "shop", "h1", 32 * MIB)
    assert (found.labels, found.mounted, found.trouble, found.snapshots) == ({"tier": "grüße"}, True, "", 0)
    assert list(Path(found.data).iterdir()) == []
    assert host.pool.volumes() == (found,)


def test_making_a_volume_twice_keeps_what_is_in_it(host: Host) -> None:
    make(host, content="first")
    assert make(host).created == make(host).created
    assert read(host) == "first"


def test_a_volume_of_another_stack_is_not_handed_out(host: Host) -> None:
    make(host, content="shop's")
    with pytest.raises(Foreign):
        host.pool.ensure_volume(wanted("shop_uploads", stack="blog"))
    assert [one.stack for one in host.pool.volumes()] == ["shop"]
    assert host.pool.volumes("blog") == ()


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "grüße", "", "x", "a" * 201, "a\nb"])
def test_a_name_that_docker_would_not_take_is_refused(host: Host, name: str) -> None:
    with pytest.raises(BadInput):
        host.pool.ensure_volume(wanted(name))
    with pytest.raises(BadInput):
        host.pool.remove_volume(name)


def test_names_with_dots_and_capitals_are_names(host: Host) -> None:
    for name in ("Shop.v1.2_data-x", "0..1", "shop.image"):
        make(host, name, content=name)
    assert [one.name for one in host.pool.volumes()] == sorted(("Shop.v1.2_data-x", "0..1", "shop.image"))
    assert read(host, "0..1") == "0..1"


def test_more_than_the_pool_has_is_not_promised(host: Host) -> None:
    status = host.pool.ensure_pool()
    with pytest.raises(Refused, match="not promised"):
        host.pool.ensure_volume(wanted("big", mib=status.room_bytes // MIB))  # its snapshots need room as well
    make(host)
    left = host.pool.status()
    assert left is not None
    assert left.reserved_bytes == int(32 * MIB * 1.2)


def test_too_small_a_volume_is_refused(host: Host) -> None:
    with pytest.raises(BadInput, match="at least"):
        host.pool.ensure_volume(wanted("tiny", mib=1))


def test_mounting_twice_and_unmounting_twice_is_once(host: Host) -> None:
    make(host, content="kept")
    assert host.pool.unmount("shop_uploads") is True
    assert host.pool.unmount("shop_uploads") is False
    assert [one.mounted for one in host.pool.volumes()] == [False]
    assert host.pool.mount("shop_uploads") == host.pool.mount("shop_uploads") == data(host)
    assert read(host) == "kept"


def test_a_volume_in_use_is_neither_unmounted_nor_restored_nor_removed(host: Host) -> None:
    make(host, content="kept")
    taken = host.pool.snapshot(["shop_uploads"])[0]
    with host.in_use("shop_uploads"):
        with pytest.raises(Refused, match="in use"):
            host.pool.unmount("shop_uploads")
        with pytest.raises(Refused, match="in use"):
            host.pool.restore("shop_uploads", taken.id)
        with pytest.raises(Refused, match="in use"):
            host.pool.remove_volume("shop_uploads")
    assert read(host) == "kept"
    assert host.pool.snapshots("shop_uploads") == (taken,)


def test_a_snapshot_is_not_changed_by_what_comes_after(host: Host) -> None:
    make(host, content="before")
    taken = host.pool.snapshot(["shop_uploads"], labels={"why": "test"})[0]
    write(host, "after")
    assert host.pool.snapshots("shop_uploads") == (taken,)
    assert (taken.volume, taken.stack, taken.together) == ("shop_uploads", "shop", ("shop_uploads",))
    assert taken.labels == {"why": "test"}
    host.pool.clone("shop_uploads", taken.id, wanted("copy"))
    assert (read(host), read(host, "copy")) == ("after", "before")


def test_snapshots_sort_as_they_were_taken(host: Host) -> None:
    make(host)
    taken = [host.pool.snapshot(["shop_uploads"])[0].id for _ in range(3)]
    assert [one.id for one in host.pool.snapshots("shop_uploads")] == taken


def test_a_snapshot_of_several_volumes_has_one_id_in_all_of_them(host: Host) -> None:
    make(host, "shop_db", "one")
    make(host, "shop_files", "one")
    first, second = host.pool.snapshot(["shop_files", "shop_db"])
    assert (first.volume, second.volume, first.id) == ("shop_db", "shop_files", second.id)
    assert first.together == second.together == ("shop_db", "shop_files")
    assert {first.consistency, second.consistency} == {"frozen"}
    write(host, "written after the freeze", "shop_db")


def test_a_snapshot_of_what_is_not_there_leaves_none_behind(host: Host) -> None:
    make(host)
    with pytest.raises(UnknownName):
        host.pool.snapshot(["shop_uploads", "missing"])
    assert host.pool.snapshots("shop_uploads") == ()


def test_a_named_snapshot_is_taken_once(host: Host) -> None:
    make(host, content="first")
    once = host.pool.snapshot(["shop_uploads"], named="20261126T192200.123Z")
    write(host, "second")
    assert host.pool.snapshot(["shop_uploads"], named="20261126T192200.123Z") == once
    assert len(host.pool.snapshots("shop_uploads")) == 1


def test_a_run_takes_one_snapshot_of_volumes_whatever_others_take(host: Host) -> None:
    names = ["shop_db", "shop_files"]
    for name in names:
        make(host, name, "first")
    host.pool.snapshot(["shop_db"], run="run/a")  # as a run does that is about one of them
    once = host.pool.snapshot(names, run="run/a", labels={"why": "test"})
    write(host, "second", "shop_db")
    assert [one.labels for one in once] == [{"why": "test", "stampede.run": "run/a"}] * 2
    assert host.pool.snapshot(names, run="run/a") == once
    assert [len(host.pool.snapshots(name)) for name in names] == [2, 1]
    assert host.pool.snapshot(names, run="run/b") != once
    assert [len(host.pool.snapshots(name)) for name in names] == [3, 2]


def test_a_snapshot_of_an_unmounted_volume_is_taken_as_well(host: Host) -> None:
    make(host, content="still")
    host.pool.unmount("shop_uploads")
    taken = host.pool.snapshot(["shop_uploads"])[0]
    assert taken.consistency == "unmounted"
    host.pool.clone("shop_uploads", taken.id, wanted("copy"))
    assert read(host, "copy") == "still"


def test_removing_a_snapshot_twice_is_once_and_keeps_the_others(host: Host) -> None:
    make(host, content="kept")
    first, second = (host.pool.snapshot(["shop_uploads"])[0] for _ in range(2))
    assert host.pool.remove_snapshot("shop_uploads", first.id) is True
    assert host.pool.remove_snapshot("shop_uploads", first.id) is False
    assert host.pool.snapshots("shop_uploads") == (second,)
    assert host.pool.snapshot_image("shop_uploads", second.id).exists()
    with pytest.raises(UnknownName):
        host.pool.snapshot_image("shop_uploads", first.id)
    with pytest.raises(BadInput):
        host.pool.remove_snapshot("shop_uploads", "../../shop_uploads")


def test_a_clone_is_a_volume_of_its_own(host: Host) -> None:
    make(host, content="shared")
    taken = host.pool.snapshot(["shop_uploads"])[0]
    copy = host.pool.clone("shop_uploads", taken.id, wanted("copy", stack="test", mib=48))
    assert (copy.stack, copy.size_bytes, copy.origin) == ("test", 48 * MIB, f"shop_uploads@{taken.id}")
    write(host, "the copy's own", "copy")
    assert read(host) == "shared"
    host.pool.remove_volume("shop_uploads")
    assert read(host, "copy") == "the copy's own"


def test_cloning_twice_is_once_and_never_replaces_another_volume(host: Host) -> None:
    make(host, content="original")
    make(host, "taken", "another's")
    snapshot = host.pool.snapshot(["shop_uploads"])[0]
    host.pool.clone("shop_uploads", snapshot.id, wanted("copy"))
    write(host, "changed", "copy")
    host.pool.clone("shop_uploads", snapshot.id, wanted("copy"))
    assert read(host, "copy") == "changed"
    with pytest.raises(Refused):
        host.pool.clone("shop_uploads", snapshot.id, wanted("taken"))
    with pytest.raises(BadInput, match="smaller"):
        host.pool.clone("shop_uploads", snapshot.id, wanted("small", mib=16))
    assert read(host, "taken") == "another's"


def test_a_volume_received_from_elsewhere_is_there_when_it_is_whole(host: Host) -> None:
    make(host)
    with host.pool.receive(wanted("came", mib=48)) as image:
        assert image.stat().st_size == 48 * MIB
        ext4.make(image, 48 * MIB)
        host.pool.bring_back()  # which clears up what killed verbs left, and not this
        make(host, "meanwhile")
        assert [one.name for one in host.pool.volumes()] == ["meanwhile", "shop_uploads"]
        with pytest.raises(Refused):
            host.pool.ensure_volume(wanted("came"))
        with pytest.raises(Refused), host.pool.receive(wanted("came")):
            pytest.fail("two cannot write one volume")
    came = host.pool.volumes()[0]
    assert (came.name, came.mounted, came.size_bytes, came.trouble) == ("came", True, 48 * MIB, "")


def test_a_volume_that_did_not_come_whole_is_not_there_and_takes_no_room(host: Host) -> None:
    host.pool.ensure_pool()

    def break_off() -> None:
        with host.pool.receive(wanted("came", mib=64)):
            assert reserved(host) == int(64 * MIB * 1.2)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert (host.pool.volumes(), reserved(host)) == ((), 0)
    assert make(host, "came").size_bytes == 32 * MIB


def test_a_restore_brings_back_the_content_and_keeps_what_it_replaced(host: Host) -> None:
    make(host, content="good")
    good = host.pool.snapshot(["shop_uploads"])[0]
    write(host, "bad")
    safety = host.pool.restore("shop_uploads", good.id)
    assert read(host) == "good"
    assert host.pool.snapshots("shop_uploads") == (good, safety)
    host.pool.restore("shop_uploads", safety.id)
    assert read(host) == "bad"


def test_a_restore_with_a_name_for_what_it_replaces_is_done_once(host: Host) -> None:
    make(host, content="good")
    good = host.pool.snapshot(["shop_uploads"])[0]
    write(host, "bad")
    safety = host.pool.restore("shop_uploads", good.id, safety="20991126T192200.123Z")
    write(host, "new work")
    assert host.pool.restore("shop_uploads", good.id, safety="20991126T192200.123Z") == safety
    assert read(host) == "new work"


def test_a_restore_of_a_snapshot_from_before_growing_keeps_the_size(host: Host) -> None:
    make(host, content="small")
    small = host.pool.snapshot(["shop_uploads"])[0]
    host.pool.resize("shop_uploads", 64 * MIB)
    host.pool.restore("shop_uploads", small.id)
    assert read(host) == "small"
    assert [one.size_bytes for one in host.pool.volumes()] == [64 * MIB]
    assert [one.trouble for one in host.pool.volumes()] == [""]


def test_a_volume_grows_and_does_not_shrink(host: Host) -> None:
    make(host, content="kept")
    for _ in range(2):
        grown = host.pool.resize("shop_uploads", 63 * MIB + 1)
        assert (grown.size_bytes, grown.mounted) == (64 * MIB, True)
    with pytest.raises(Refused, match="does not shrink"):
        host.pool.resize("shop_uploads", 32 * MIB)
    status = host.pool.status()
    assert status is not None
    with pytest.raises(Refused, match="not promised"):
        host.pool.resize("shop_uploads", 64 * MIB + status.room_bytes)
    assert read(host) == "kept"


def test_a_removed_volume_is_gone_with_its_snapshots(host: Host) -> None:
    make(host, content="old")
    host.pool.snapshot(["shop_uploads"])
    assert host.pool.remove_volume("shop_uploads") is True
    assert host.pool.remove_volume("shop_uploads") is False
    with pytest.raises(UnknownName):
        host.pool.snapshots("shop_uploads")
    found = make(host)
    assert (found.snapshots, list(Path(found.data).iterdir())) == (0, [])


def test_a_compacted_volume_has_what_it_had_and_so_have_its_snapshots(host: Host) -> None:
    make(host, content="before")
    taken = host.pool.snapshot(["shop_uploads"])[0]
    write(host, "after")
    with host.in_use("shop_uploads"), pytest.raises(Refused, match="in use"):
        host.pool.compact("shop_uploads")
    for _ in range(2):
        assert host.pool.compact("shop_uploads").mounted
    assert read(host) == "after"
    host.pool.restore("shop_uploads", taken.id)
    assert read(host) == "before"


def test_trimming_needs_a_mounted_volume_and_changes_nothing_in_it(host: Host) -> None:
    make(host, content="kept")
    assert host.pool.trim("shop_uploads") >= 0
    assert read(host) == "kept"
    host.pool.unmount("shop_uploads")
    with pytest.raises(Refused):
        host.pool.trim("shop_uploads")


def test_after_a_reboot_all_volumes_are_brought_back(host: Host) -> None:
    for name in ("shop_a", "shop_b"):
        make(host, name, content=name)
    host.reboot()
    assert [one.mounted for one in host.pool.volumes()] == [False, False]
    for _ in range(2):
        assert [(one.name, one.mounted) for one in host.pool.bring_back()] == [("shop_a", True), ("shop_b", True)]
    assert read(host, "shop_b") == "shop_b"
