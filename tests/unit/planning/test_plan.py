"""What a plan does, in which order, and why."""

from __future__ import annotations

from typing import Any

import pytest

from stampede.planning.changes import Action, Plan, Roll
from stampede.planning.plan import Demands
from stampede.planning.slots import Doubt
from tests.unit.planning.worlds import World, revision_of

CHECKED = {"healthcheck": {"test": ["CMD", "true"]}}
PUBLISHED = {"ports": [{"target": 80, "published": "8080", "mode": "ingress"}]}
DATA = {"volumes": [{"type": "volume", "source": "data", "target": "/data"}]}
ANEW = {"environment": {"V": "2"}}
IN_DOUBT = Doubt(stopped=True, running=True)


def world_with(**services: dict[str, Any]) -> World:
    """A world in which these services have been rolled out."""
    world = World()
    world.go(revision_of(services))
    return world


def plan_for(world: World, **services: dict[str, Any]) -> Plan:
    return world.plan(revision_of(services, 2))[0]


def rolls_of(plan: Plan) -> list[Roll]:
    return [roll for stage in plan.stages for lane in stage.lanes for wave in lane.waves for roll in wave.rolls]


def order_of(plan: Plan) -> list[list[str]]:
    """The services of each stage."""
    return [[lane.service for lane in stage.lanes] for stage in plan.stages]


def test_an_empty_host_gets_network_volume_listener_and_instances_with_reasons() -> None:
    plan = plan_for(World(), web=PUBLISHED | DATA)
    assert [(change.action, change.kind, change.name) for change in plan.changes] == [
        ("create", "network", "shop_default"),
        ("create", "volume", "shop_data"),
        ("create", "listener", "web *:8080"),
        ("create", "instance", "shop-web-1"),
    ]
    assert all(change.reason for change in plan.changes)


def test_services_start_after_those_they_need() -> None:
    plan = plan_for(
        World(),
        web={"depends_on": {"api": {"condition": "service_started"}}},
        api={"depends_on": {"db": {"condition": "service_healthy"}, "cache": {"condition": "service_started"}}},
        cache={},
        db={},
    )
    assert order_of(plan) == [["cache", "db"], ["api"], ["web"]]


def test_a_dependency_that_need_not_exist_is_passed_over() -> None:
    assert order_of(plan_for(World(), web={"depends_on": {"gone": {"required": False}}})) == [["web"]]


def test_replacements_come_in_waves_of_parallelism_and_new_slots_at_once() -> None:
    policy = {"update_config": {"parallelism": 2, "delay": "3s"}}
    world = world_with(web={"deploy": {"replicas": 5} | policy})
    plan = plan_for(world, web=ANEW | {"deploy": {"replicas": 7} | policy})
    ((lane,),) = [stage.lanes for stage in plan.stages]
    assert [[roll.slot for roll in wave.rolls] for wave in lane.waves] == [[6, 7], [1, 2], [3, 4], [5]]
    assert [wave.pause_s for wave in lane.waves] == [0, 3, 3, 0]


def test_parallelism_0_replaces_all_at_once() -> None:
    policy = {"deploy": {"replicas": 3, "update_config": {"parallelism": 0}}}
    plan = plan_for(world_with(web=policy), web=ANEW | policy)
    assert [len(wave.rolls) for wave in plan.stages[0].lanes[0].waves] == [3]


@pytest.mark.parametrize(
    ("service", "order", "why"),
    [
        ({}, "start-first", ""),
        (DATA, "stop-first", "it writes to data"),
        (DATA | {"deploy": {"replicas": 2}}, "start-first", ""),
        (DATA | {"deploy": {"update_config": {"order": "start-first"}}}, "start-first", ""),
        ({"deploy": {"update_config": {"order": "stop-first"}}}, "stop-first", "the file asks for it"),
        ({"container_name": "one"}, "stop-first", "container_name one can exist once"),
        ({"ports": [{"target": 53, "published": "53", "protocol": "udp"}]}, "stop-first", "port 53 (udp)"),
        ({"ports": [{"target": 80, "published": "80", "mode": "host"}]}, "stop-first", "port 80 (mode: host)"),
        ({"network_mode": "host"}, "stop-first", "network_mode: host"),
        ({"networks": {"default": {"ipv4_address": "10.0.0.9"}}}, "stop-first", "fixed address"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_order_of_a_replacement_and_its_reason(service: dict[str, Any], order: str, why: str) -> None:
    (first, *_) = rolls_of(plan_for(world_with(web=service), web=service | ANEW))
    assert first.order == order
    assert why in first.reason
    assert "environment.V" in first.reason


def test_a_start_first_that_cannot_be_and_one_that_is_dangerous_are_warned_of() -> None:
    asked: dict[str, Any] = {"deploy": {"update_config": {"order": "start-first"}}}
    services = {"db": DATA | asked, "web": {"container_name": "one"} | asked}
    plan = plan_for(world_with(**services), **{name: said | ANEW for name, said in services.items()})
    assert len(plan.warnings) == 2
    assert "both have it open" in plan.warnings[0]
    assert "not possible" in plan.warnings[1]


def test_a_reason_names_keys_and_never_values() -> None:
    before = {"environment": {"PASSWORD": "hunter2"}, "command": ["--key", "hunter2"]}
    after = {"environment": {"PASSWORD": "hunter3"}, "command": ["--key", "hunter3"]}
    (roll,) = rolls_of(plan_for(world_with(web=before), web=after))
    assert "environment.PASSWORD" in roll.reason
    assert "command" in roll.reason
    assert "hunter" not in plan_for(world_with(web=before), web=after).model_dump_json()


def test_another_image_and_an_image_that_was_built_anew_are_told_apart() -> None:
    world = world_with(web={"image": "app:1"})
    (roll,) = rolls_of(plan_for(world, web={"image": "app:2"}))
    assert roll.reason == "image app:2"
    revision = revision_of({"web": {"image": "app:1"}}, 2)
    built = {"web": revision.images["web"].model_copy(update={"identity": "other"})}
    (roll,) = rolls_of(world.plan(revision.model_copy(update={"images": built}))[0])
    assert roll.reason == "app:1 was built anew"


def test_an_instance_of_another_release_is_said_to_be_incomparable() -> None:
    world = world_with(web={})
    (name,) = world.instances
    world.instances[name] = world.instances[name].model_copy(update={"spec_hash": "0:abc"})
    (roll,) = rolls_of(plan_for(world, web={}))
    assert "another release" in roll.reason


def test_restart_true_restarts_dependents_all_the_way_and_nothing_else() -> None:
    services: dict[str, dict[str, Any]] = {
        "db": {},
        "api": {"depends_on": {"db": {"restart": True}}},
        "web": {"depends_on": {"api": {"restart": True}}},
        "cache": {"depends_on": {"db": {"restart": False}}},
    }
    world = world_with(**services)
    for plan in (
        plan_for(world, **services | {"db": ANEW}),
        world.plan(revision_of(services), demands=Demands(restart=frozenset({"db"})))[0],
    ):
        actions = {roll.service: roll.action for roll in rolls_of(plan)}
        assert actions["api"] == actions["web"] == Action.RESTART
        assert "cache" not in actions
        assert order_of(plan) == [["db"], ["api"], ["web"]]


def test_what_shares_a_namespace_follows_its_owner() -> None:
    services: dict[str, dict[str, Any]] = {
        "pod": {},
        "app": {"network_mode": "service:pod"},
        "log": {"pid": "service:app"},
    }
    world = world_with(**services)
    assert order_of(plan_for(World(), **services)) == [["pod"], ["app"], ["log"]]
    changed = {roll.service: roll.action for roll in rolls_of(plan_for(world, **services | {"pod": ANEW}))}
    assert changed == {"pod": Action.REPLACE, "app": Action.REPLACE, "log": Action.REPLACE}
    restarted = world.plan(revision_of(services), demands=Demands(restart=frozenset({"pod"})))[0]
    assert {roll.service: roll.action for roll in rolls_of(restarted)} == dict.fromkeys(services, Action.RESTART)


def test_what_shares_a_namespace_of_a_container_that_vanished_is_made_anew() -> None:
    services: dict[str, dict[str, Any]] = {"pod": {}, "app": {"network_mode": "service:pod"}}
    world = world_with(**services)
    del world.instances[next(name for name in world.instances if "-pod-" in name)]
    pod, app = rolls_of(plan_for(world, **services))
    assert (pod.action, app.action, app.order) == (Action.CREATE, Action.REPLACE, "stop-first")
    assert "namespace of pod" in app.reason
    assert "same name" in app.reason


def test_a_job_that_is_done_is_left_alone_until_its_spec_changes() -> None:
    services = {"job": {}, "web": {"depends_on": {"job": {"condition": "service_completed_successfully"}}}}
    world = world_with(**services)
    assert plan_for(world, **services).is_empty
    assert world.plan(revision_of(services), doubt=IN_DOUBT)[0].stages[0].lanes[0].service == "web"
    (job,) = rolls_of(plan_for(world, **services | {"job": ANEW}))
    assert (job.action, job.until) == (Action.REPLACE, "completed")


def test_what_a_starting_service_needs_is_waited_for_even_if_it_does_not_change() -> None:
    needs = {"depends_on": {"db": {"condition": "service_healthy"}}}
    world = world_with(db=CHECKED)
    (name,) = world.instances
    world.instances[name] = world.instances[name].model_copy(update={"health": "starting"})
    wait, create = rolls_of(plan_for(world, db=CHECKED, web=needs))
    assert (wait.action, wait.reason, create.service) == (Action.WAIT, "web waits for it", "web")
    world.instances[name] = world.instances[name].model_copy(update={"health": "healthy"})
    assert [roll.service for roll in rolls_of(plan_for(world, db=CHECKED, web=needs))] == ["web"]


@pytest.mark.parametrize(
    ("state", "exit_code", "service", "reason"),
    [
        ("exited", 0, {}, ""),
        ("exited", 1, {}, "it has stopped with exit code 1"),
        ("exited", 0, {"restart": "always"}, "it has stopped with exit code 0"),
        ("paused", None, {}, "it is paused"),
        ("created", None, {}, "it was made, but never started"),
        ("dead", None, {}, "it is dead"),
        ("restarting", 1, {}, ""),
    ],
)
def test_what_does_not_run_is_started_unless_it_has_finished(
    state: str, exit_code: int | None, service: dict[str, Any], reason: str
) -> None:
    world = world_with(web=service)
    (name,) = world.instances
    world.instances[name] = world.instances[name].model_copy(update={"state": state, "exit_code": exit_code})
    assert [roll.reason for roll in rolls_of(plan_for(world, web=service))] == ([reason] if reason else [])


def test_a_stopped_container_whose_network_or_name_is_gone_is_made_anew_unless_it_has_finished() -> None:
    world = world_with(web={})
    ((name, found),) = world.instances.items()
    stopped = found.model_copy(update={"state": "exited", "exit_code": 1})
    other = {network.name: "another" for host in world.found() for network in host.networks}
    for changed, why in (
        ({"network_ids": other}, "its network shop_default is gone"),
        ({"name": "aside"}, "its name was changed"),
    ):
        world.instances[name] = stopped.model_copy(update=changed)
        (roll,) = rolls_of(plan_for(world, web={}))
        assert (roll.action, roll.reason.partition(";")[0], len(roll.old)) == (Action.REPLACE, why, 1)
        world.instances[name] = world.instances[name].model_copy(update={"exit_code": 0})
        assert plan_for(world, web={}).is_empty


def test_after_a_change_that_did_not_end_well_nothing_is_taken_for_granted() -> None:
    world = world_with(web={"deploy": {"replicas": 2}})
    first, _ = world.instances
    world.instances[first] = world.instances[first].model_copy(update={"state": "exited", "exit_code": 0})
    plan = world.plan(revision_of({"web": {"deploy": {"replicas": 2}}}), doubt=IN_DOUBT)[0]
    assert {roll.label: roll.action for roll in rolls_of(plan)} == {"shop-web-1": "start", "shop-web-2": "wait"}


def test_a_crash_loop_and_an_unhealthy_instance_are_warned_of_and_left_to_docker() -> None:
    world = world_with(web={"deploy": {"replicas": 2}})
    first, second = world.instances
    world.instances[first] = world.instances[first].model_copy(update={"state": "restarting"})
    world.instances[second] = world.instances[second].model_copy(update={"health": "unhealthy"})
    plan = plan_for(world, web={"deploy": {"replicas": 2}})
    assert plan.is_empty
    assert plan.warnings == ("shop-web-1 is restarted again and again", "shop-web-2 is unhealthy")


def test_what_leaves_goes_last_but_makes_room_first_where_it_is_in_the_way() -> None:
    services: dict[str, dict[str, Any]] = {"old": {}, "named": {"container_name": "one"}, "stays": {}}
    plan = plan_for(world_with(**services), stays={}, new={}, other={"container_name": "one"})
    assert order_of(plan) == [["named"], ["new", "other"], ["old"]]


def test_a_database_that_got_another_name_never_runs_twice_on_its_volume() -> None:
    assert order_of(plan_for(world_with(db=DATA), database=DATA)) == [["db"], ["database"]]
    asked = DATA | {"deploy": {"update_config": {"order": "start-first"}}}
    assert order_of(plan_for(world_with(db=asked), database=asked)) == [["database"], ["db"]]


def test_a_stack_is_taken_away_in_the_reverse_order_of_its_start() -> None:
    world = world_with(web={"depends_on": {"db": {"condition": "service_started"}}} | PUBLISHED, db=DATA)
    plan = world.plan(None)[0]
    assert order_of(plan) == [["web"], ["db"]]
    assert [change.name for change in plan.changes if change.kind != "instance"] == ["web *:8080", "shop_default"]
    assert "shop_data" in {c.name for c in world.plan(None, demands=Demands(remove_volumes=True))[0].changes}


def test_a_stack_may_come_before_the_store_of_its_backups_and_is_told_so() -> None:
    backed_up = {"data": {"name": "shop_data", "x-backups": {"store": "offsite"}}}
    world, revision = World(), revision_of({"db": DATA}, volumes=backed_up)
    (warning,) = world.plan(revision)[0].warnings
    assert "no store offsite yet" in warning
    assert "stampede store add offsite" in warning
    assert not world.plan(revision, stores=frozenset({"offsite"}))[0].warnings


def test_scaling_down_takes_the_highest_slots_and_says_so() -> None:
    plan = plan_for(world_with(web={"deploy": {"replicas": 3}}), web={"deploy": {"replicas": 1}})
    assert [(roll.label, roll.reason) for roll in rolls_of(plan)] == [
        ("shop-web-2", "scaled to 1"),
        ("shop-web-3", "scaled to 1"),
    ]


def test_two_instances_in_a_slot_end_as_one() -> None:
    """A replacement was cut off after the new one had started."""
    world = world_with(web={})
    world.go(revision_of({"web": ANEW}, 2), limit=2)
    assert len(world.running("web")) == 2
    (roll,) = rolls_of(plan_for(world, web=ANEW))
    assert roll.kept is not None
    assert len(roll.old) == 1
    assert "interrupted" in roll.reason


def test_an_instance_that_the_balancer_does_not_know_joins_and_one_that_is_gone_leaves() -> None:
    world = world_with(web=PUBLISHED | {"deploy": {"replicas": 2}})
    before = world.balanced["h1"]
    stranger = before.servers[0].model_copy(update={"name": "gone"})
    world.balanced["h1"] = before.without_server("web", before.servers[1].name).with_server(stranger)
    plan = plan_for(world, web=PUBLISHED | {"deploy": {"replicas": 2}})
    listening = plan.preparations["h1"].listening
    assert [member.name for member in listening.joining] == [before.servers[1].name]
    assert [member.name for member in listening.leaving] == ["gone"]
    assert not rolls_of(plan)


def test_a_chosen_port_is_kept_while_it_fits() -> None:
    chosen = {"ports": [{"target": 80, "mode": "ingress"}]}
    world = world_with(web=chosen)
    port = world.balanced["h1"].listeners[0].port
    assert plan_for(world, web=chosen).is_empty
    world.go(revision_of({"web": chosen | ANEW}, 2))
    assert world.balanced["h1"].listeners[0].port == port


def test_recreate_replaces_what_has_not_changed_under_its_own_name() -> None:
    world = world_with(web={})
    (roll,) = rolls_of(world.plan(revision_of({"web": {}}), demands=Demands(recreate=frozenset({"web"})))[0])
    assert (roll.action, roll.order) == (Action.REPLACE, "stop-first")
    assert roll.reason == "asked for; stop-first: old and new have the same name"
