"""What holds for every stack: plans converge, from wherever they were cut off, and never let two write at once."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stampede.planning.plan import Demands
from stampede.planning.slots import Doubt
from stampede.planning.update_order import update_order
from tests.unit.planning.worlds import World, revision_of

NAMES = ("api", "cache", "db", "web")
IN_DOUBT = Doubt(stopped=True, running=True)
SOME = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

Services = dict[str, dict[str, Any]]


@st.composite
def services(draw: st.DrawFn) -> Services:
    """Up to four services that depend on, follow or share with those named before them."""
    made: Services = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1).map(sorted)):
        service: dict[str, Any] = {"environment": {"V": draw(st.sampled_from("123"))}}
        job = draw(st.sampled_from([False, False, False, True]))
        service["deploy"] = {"replicas": 1 if job else draw(st.integers(0, 3))}
        if draw(st.booleans()):
            service["volumes"] = [{"type": "volume", "source": f"{name}-data", "target": "/data"}]
        if draw(st.booleans()):
            order = draw(st.sampled_from(["start-first", "stop-first"]))
            service["deploy"] |= {"update_config": {"order": order, "parallelism": draw(st.integers(0, 2))}}
        others = [other for other, said in made.items() if "network_mode" not in said]
        if others and draw(st.sampled_from([False, False, True])):
            service["network_mode"] = f"service:{draw(st.sampled_from(others))}"
            made[service["network_mode"][8:]]["deploy"]["replicas"] = 1
        elif draw(st.booleans()):
            service["ports"] = [{"target": 80, "published": str(8000 + NAMES.index(name)), "mode": "ingress"}]
        for other in made:
            if draw(st.booleans()):
                condition = "service_completed_successfully" if made[other].get("x") else "service_started"
                restart = draw(st.booleans())
                service.setdefault("depends_on", {})[other] = {"condition": condition, "restart": restart}
        if job:
            service["x"] = True
        made[name] = service
    for service in made.values():
        service.pop("x", None)
    return made


@SOME
@given(before=services(), after=services())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(before: Services, after: Services) -> None:
    world = World()
    for number, wanted in enumerate((before, after), 1):
        revision = revision_of(wanted, number)
        assert world.go(revision)
        assert world.plan(revision)[0].changes == ()
        assert world.adrift() == []
    counts = {name: len([i for i in world.instances.values() if i.service == name]) for name in after}
    assert counts == {name: service["deploy"]["replicas"] for name, service in after.items()}
    assert {i.service for i in world.instances.values()} <= after.keys()


@SOME
@given(before=services(), after=services(), cuts=st.lists(st.integers(0, 12), max_size=4))
def test_a_change_that_is_cut_off_anywhere_ends_the_same_when_it_is_run_again(
    before: Services, after: Services, cuts: list[int]
) -> None:
    straight, cut = World(), World()
    first, second = revision_of(before), revision_of(after, 2)
    straight.go(first), straight.go(second)
    cut.go(first)
    doubt = Doubt()
    for limit in cuts:
        if cut.go(second, limit=limit, doubt=doubt):
            break
        doubt = IN_DOUBT
    cut.go(second, doubt=doubt)
    assert cut.state() == straight.state()
    assert cut.adrift() == []


@SOME
@given(before=services(), after=services(), cut=st.integers(0, 20))
def test_a_change_that_is_cut_off_can_be_taken_back(before: Services, after: Services, cut: int) -> None:
    straight, world = World(), World()
    first, second = revision_of(before), revision_of(after, 2)
    straight.go(first)
    world.go(first)
    world.go(second, limit=cut)
    world.go(first, doubt=Doubt(stopped=True))
    assert {**world.state(), "volumes": None} == {**straight.state(), "volumes": None}


@SOME
@given(before=services(), version=st.sampled_from("45"), cut=st.integers(0, 20))
def test_two_never_write_to_the_volume_of_one_and_start_first_never_leaves_none(
    before: Services, version: str, cut: int
) -> None:
    after = {name: service | {"environment": {"V": version}} for name, service in before.items()}
    world = World()
    world.go(revision_of(before))
    definition = revision_of(after).definition
    order = {name: update_order(service, carries_anonymous=False)[0] for name, service in definition.services.items()}
    serving = {name for name in before if world.running(name)}

    def watch() -> None:
        for name, service in definition.services.items():
            if order[name] == "stop-first" and service.replicas == 1:
                assert len(world.running(name)) <= 1, f"{name} runs twice"
            if order[name] == "start-first" and name in serving and not service.network_mode:
                assert world.running(name), f"{name} does not run"

    world.seen = watch
    second = revision_of(after, 2)
    world.go(second, limit=cut)
    world.go(second, doubt=IN_DOUBT)


@SOME
@given(wanted=services(), seed=st.integers(0, 99))
def test_the_order_in_which_things_are_written_or_found_does_not_matter(wanted: Services, seed: int) -> None:
    mix = random.Random(seed)
    names = list(wanted)
    mix.shuffle(names)
    world, shuffled = World(), World()
    old = {name: service | {"environment": {"V": "0"}} for name, service in wanted.items()}
    world.go(revision_of(old)), shuffled.go(revision_of(old))
    found = list(shuffled.instances.items())
    mix.shuffle(found)
    shuffled.instances = dict(found)
    plan, _ = world.plan(revision_of(wanted, 2))
    other, _ = shuffled.plan(revision_of({name: wanted[name] for name in names}, 2))
    assert other == plan


@SOME
@given(wanted=services(), replicas=st.integers(0, 3))
def test_scaling_touches_no_instance_that_stays(wanted: Services, replicas: int) -> None:
    name = sorted(wanted)[-1]
    assume("network_mode" not in wanted[name])
    world = World()
    world.go(revision_of(wanted))
    before = {i.id for i in world.instances.values()}
    scaled = {**wanted, name: {**wanted[name], "deploy": {"replicas": replicas}}}
    world.go(revision_of(scaled, 2))
    after = {i.id for i in world.instances.values()}
    assert len(before & after) == min(len(before), len(after))


@SOME
@given(wanted=services())
def test_restarting_everything_keeps_every_container(wanted: Services) -> None:
    world, revision = World(), revision_of(wanted)
    world.go(revision)
    before = world.state()
    plan, _ = world.plan(revision, demands=Demands(restart=frozenset(wanted)))
    assert {change.action for change in plan.changes} <= {"restart"}
    world.go(revision, demands=Demands(restart=frozenset(wanted)))
    assert world.state() == before


@SOME
@given(wanted=services())
def test_nothing_is_left_of_a_stack_that_was_removed_with_its_volumes(wanted: Services) -> None:
    world = World(hosts=("h1", "h2"))
    world.go(revision_of(wanted))
    world.go(None, demands=Demands(remove_volumes=True))
    assert world.state() == {"instances": [], "networks": {}, "volumes": {}, "balanced": {}}
