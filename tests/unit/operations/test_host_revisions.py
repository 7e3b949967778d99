"""What a host keeps of the stacks it runs."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

import pytest

from stampede.blocks.adopted_volumes import adopt_volumes, adopted_volumes
from stampede.blocks.host_revisions import (
    Standing,
    forget_revisions,
    forget_stack,
    keep_revision,
    kept_stacks,
    read_revisions,
    read_standing,
    superseded,
    write_standing,
)
from stampede.blocks.sealed_files import Damaged
from stampede.documents import Revision
from stampede.places import Places


def revision(number: int, stack: str = "shop") -> Revision:
    document = {"name": stack, "services": {}, "secrets": {"pw": {"content": "hunter2"}}}
    created = datetime(2026, 1, 2, tzinfo=UTC)
    return Revision(stack=stack, number=number, created=created, salt="s", document=document, images={})


def test_a_revision_comes_back_as_it_was_and_is_sealed_on_disk(places: Places) -> None:
    for _ in range(2):
        keep_revision(places, revision(1))
    assert list(read_revisions(places, "shop")) == [revision(1)]
    for path in (path for path in places.state.rglob("*") if path.is_file() and path.suffix != ".lock"):
        assert b"hunter2" not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_stacks_whose_names_look_like_revisions_are_kept_apart(places: Places) -> None:
    for stack in ("shop", "shop-r1"):
        keep_revision(places, revision(1, stack))
        write_standing(places, Standing(stack=stack, fence=3, wanted=1))
    assert kept_stacks(places) == ["shop", "shop-r1"]
    assert [r.stack for r in read_revisions(places, "shop")] == ["shop"]
    forget_stack(places, "shop")
    forget_stack(places, "shop")
    assert kept_stacks(places) == ["shop-r1"]
    assert read_standing(places, "shop") is None
    assert read_standing(places, "shop-r1") == Standing(stack="shop-r1", fence=3, wanted=1)


def test_a_damaged_or_swapped_file_is_noticed(places: Places) -> None:
    keep_revision(places, revision(1))
    folder = places.host / "revisions" / "shop"
    (folder / "r1.json").rename(folder / "r2.json")
    with pytest.raises(Damaged, match="shop-r2"):
        list(read_revisions(places, "shop"))


def test_the_newest_five_are_never_superseded(places: Places) -> None:
    for number in range(1, 12):
        keep_revision(places, revision(number))
    assert superseded(places, "shop") == frozenset(range(1, 7))
    forget_revisions(places, "shop", superseded(places, "shop") - {2})
    assert [r.number for r in read_revisions(places, "shop")] == [2, 7, 8, 9, 10, 11]


def test_adopted_volumes_are_remembered_and_never_forgotten(places: Places) -> None:
    assert adopted_volumes(places, "shop") == frozenset()
    adopt_volumes(places, "shop", ("shop_data",))
    adopt_volumes(places, "shop", ("shop_more",))
    assert adopted_volumes(places, "shop") == {"shop_data", "shop_more"}
    assert adopted_volumes(places, "blog") == frozenset()
