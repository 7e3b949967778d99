"""What runs again after Docker or the host went down."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stampede.blocks.host_revisions import Standing, write_standing
from stampede.control_plane.services import write_private
from stampede.deployments.resuming import (
    ENDED_BY_ITSELF_S,
    only_one_of_each_slot,
    remember,
    remembered,
    start_what_ran,
    still_to_run,
)
from stampede.places import Places
from stampede.planning.found import FoundInstance
from stampede.tasks.this_host import ThisHost
from tests.fakes.docker import FakeDockerHost
from tests.fakes.haproxy import FakeHAProxy
from tests.fakes.volumes import FakeVolumePool
from tests.lab.instances import Workbench

MADE = datetime(2026, 1, 1, tzinfo=UTC)


def instance(name: str, **more: Any) -> FoundInstance:
    about = {"state": "running", "restart_policy": "on-failure", "slot": 1, "created_at": MADE} | more
    return FoundInstance(
        id=name,
        name=name,
        host="h1",
        stack="shop",
        service="web",
        revision=1,
        spec_hash="1:0",
        image="web:1",
        **about,
    )


def ended(name: str, code: int = 0, **more: Any) -> FoundInstance:
    return instance(name, state="exited", exit_code=code, **more)


def test_what_runs_is_remembered() -> None:
    assert still_to_run({}, [instance("web")], 100.0) == {"web": 0.0}


def test_what_must_never_be_restarted_is_not_remembered() -> None:
    assert still_to_run({}, [instance("once", restart_policy="no")], 100.0) == {}


def test_what_docker_has_just_told_to_stop_stays_remembered() -> None:
    assert still_to_run({"web": 0.0}, [ended("web")], 100.0) == {"web": 100.0}


def test_what_ended_by_itself_is_forgotten_in_the_end() -> None:
    first = still_to_run({"job": 0.0}, [ended("job")], 100.0)
    assert still_to_run(first, [ended("job")], 100.0 + ENDED_BY_ITSELF_S) == {}


def test_what_was_never_seen_running_is_not_started() -> None:
    assert still_to_run({}, [ended("old")], 100.0) == {}


def test_what_is_gone_is_forgotten() -> None:
    assert still_to_run({"web": 0.0}, [], 100.0) == {}


def test_the_memory_is_a_file_of_the_host(places: Places) -> None:
    assert remembered(places) == {}
    places.host.mkdir(parents=True)
    remember(places, [instance("web")], 1.0)
    assert remembered(places) == {"web": 0.0}


def test_an_old_instance_that_a_change_stopped_never_starts_beside_the_new_one() -> None:
    assert only_one_of_each_slot([ended("old"), instance("new", created_at=MADE + timedelta(hours=1))]) == []
    assert only_one_of_each_slot([instance("old"), ended("new", created_at=MADE + timedelta(hours=1))]) == []


def test_of_two_that_docker_stopped_only_the_newest_starts() -> None:
    old, new = ended("old"), ended("new", created_at=MADE + timedelta(hours=1))
    assert only_one_of_each_slot([new, old]) == [new]


def test_nothing_starts_where_the_new_instance_was_made_but_not_started() -> None:
    made = instance("new", state="created", created_at=MADE + timedelta(hours=1))
    assert only_one_of_each_slot([ended("old"), made]) == []


def test_each_slot_has_its_own() -> None:
    first, second = ended("web-1"), ended("web-2", slot=2)
    assert only_one_of_each_slot([first, second]) == [first, second]


def told(wanted: int = 1, serving: int = 1, *, changing: bool = False) -> Standing:
    return Standing(stack="shop", fence=1, wanted=wanted, serving=serving, changing=changing)


@pytest.mark.parametrize("standing", [told(2), told(1, 0), told(changing=True)], ids=["update", "first", "restart"])
def test_a_stack_that_a_change_works_on_is_left_to_the_change(places: Places, standing: Standing) -> None:
    docker = FakeDockerHost()
    bench = Workbench(docker, cluster="c", stack="shop")
    docker.containers.stop(bench.run(bench.wanted()))
    host = ThisHost(
        name="h1", cluster="c", places=places, docker=docker, haproxy=FakeHAProxy(), pool=FakeVolumePool(places.pool)
    )
    seen = docker.found("h1", "c").instances
    write_standing(places, standing)
    write_private(places.host / "ran.json", json.dumps({found.name: 0.0 for found in seen}))
    assert start_what_ran(host, seen) == []
    assert docker.found("h1", "c").instances == seen
    write_standing(places, told(standing.wanted, standing.wanted))
    assert start_what_ran(host, seen) == [found.name for found in seen]
    assert [found.state for found in docker.found("h1", "c").instances] == ["running"]
