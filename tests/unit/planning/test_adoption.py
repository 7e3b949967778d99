"""What adopting a Compose project comes to, decided without looking at anything."""

from __future__ import annotations

import pytest

from stampede.errors import NeedsAdoption
from stampede.planning.adoption import ComposeProject, Takeover, after_takeover, takeover_of, with_takeovers
from stampede.planning.changes import Plan
from stampede.planning.found import ForeignContainer, FoundHost, FoundVolume
from stampede.planning.obstacles import refuse_obstacles
from stampede.stackfile.models import Stack, Volume

WEB = ForeignContainer(id="c1", name="shop-web-1", compose_project="shop")
ASIDE = ForeignContainer(id="c1", name="shop-web-1-before-adoption", compose_project="shop", state="exited")
BYSTANDER = ForeignContainer(id="c9", name="other")
PROJECT = ComposeProject(
    name="shop",
    containers=(WEB,),
    networks=("shop_default",),
    volumes=("shop_data", "shop_old"),
    anonymous={"shop-web-1": ("/scratch",)},
)
WANTED = Stack(
    name="shop",
    volumes={"data": Volume(name="shop_data"), "new": Volume(name="shop_new"), "ext": Volume(name="x", external=True)},
)
HOST = FoundHost(
    host="h1", foreign=(WEB, BYSTANDER), project_networks=("shop_default",), project_volumes=("shop_data", "shop_old")
)


def test_containers_make_way_and_only_named_volumes_are_taken() -> None:
    takeover = takeover_of(PROJECT, WANTED, HOST)
    assert takeover == Takeover(containers={"shop-web-1": "c1"}, networks=("shop_default",), volumes=("shop_data",))


def test_nothing_is_left_to_do_once_it_is_done() -> None:
    project = PROJECT.model_copy(update={"containers": (ASIDE,), "networks": ()})
    host = HOST.model_copy(update={"volumes": (FoundVolume(name="shop_data", stack="shop", adopted=True),)})
    assert takeover_of(project, WANTED, host).is_empty


def test_an_original_that_somebody_started_again_makes_way_again() -> None:
    project = PROJECT.model_copy(update={"containers": (ASIDE.model_copy(update={"state": "running"}),)})
    assert takeover_of(project, WANTED, HOST).containers == {"shop-web-1-before-adoption": "c1"}


def test_after_the_takeover_nothing_of_the_project_is_in_the_way() -> None:
    with pytest.raises(NeedsAdoption):
        refuse_obstacles(WANTED, (), [HOST])
    after = after_takeover(HOST, takeover_of(PROJECT, WANTED, HOST), "shop")
    refuse_obstacles(WANTED, (), [after])
    assert after.foreign == (BYSTANDER,)
    assert after.volumes == (FoundVolume(name="shop_data", stack="shop", adopted=True),)
    assert after.project_volumes == ("shop_old",)


def test_what_a_stopped_project_left_behind_needs_adoption_too() -> None:
    for left in ({"project_volumes": ("shop_data",)}, {"foreign": (WEB,)}):
        with pytest.raises(NeedsAdoption, match="shop"):
            refuse_obstacles(WANTED, (), [FoundHost(host="h1").model_copy(update=left)])
    refuse_obstacles(WANTED, (), [FoundHost(host="h1", project_volumes=("shop_old",), foreign=(ASIDE,))])


def test_the_plan_says_what_goes_what_stays_and_that_there_is_downtime() -> None:
    shown = with_takeovers(Plan(stack="shop"), {"h1": takeover_of(PROJECT, WANTED, HOST)}, [PROJECT])
    assert [(change.action.value, change.kind, change.name) for change in shown.changes] == [
        ("adopt", "volume", "shop_data"),
        ("set aside", "instance", "shop-web-1"),
        ("replace", "network", "shop_default"),
    ]
    assert "kept as shop-web-1-before-adoption" in shown.changes[1].reason
    assert shown.warnings[0].startswith("shop is down from when its 1 containers are stopped")
    assert "/scratch" in shown.warnings[1]


def test_a_plan_without_a_takeover_is_as_it_was() -> None:
    plan = Plan(stack="shop", warnings=("w",))
    assert with_takeovers(plan, {"h1": Takeover()}, [PROJECT]) == plan
