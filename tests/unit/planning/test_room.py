"""Networks that cannot hold old and new instances at once are refused while planning."""

from __future__ import annotations

from typing import Any

import pytest

from stampede.addresses import assign
from stampede.documents import Revision
from stampede.errors import BadInput
from stampede.planning.found import FoundHost, FoundNetwork
from stampede.planning.room import refuse_full_networks
from tests.unit.planning.worlds import STACK, World, revision_of

SMALL = "10.9.0.0/29"  # five addresses besides network, gateway and broadcast
NETWORK = f"{STACK}_default"


def web(replicas: int, version: int = 1, parallelism: int = 1, **more: Any) -> Revision:
    deploy = {"replicas": replicas, "update_config": {"parallelism": parallelism, "order": "start-first"}}
    services = {"web": {"deploy": deploy, "environment": {"V": str(version)}, **more}}
    networks = {"default": {"name": NETWORK, "ipam": {"config": [{"subnet": SMALL}]}}}
    return revision_of(services, version, networks=networks)


def check(before: Revision | None, after: Revision) -> None:
    """Plan from what `before` left behind on the small network to `after`."""
    world = World()
    if before:
        world.go(before)
    plan, instances = world.plan(after)
    (host,) = world.found()
    addresses = assign(SMALL, (), [found.name for found in host.instances])
    found = tuple(one.model_copy(update={"addresses": {NETWORK: addresses[one.name]}}) for one in host.instances)
    there = FoundNetwork(id="n", name=NETWORK, stack=STACK, subnet=SMALL, used=tuple(addresses.values()))
    refuse_full_networks(plan, after.definition, instances, [FoundHost(host="h1", instances=found, networks=(there,))])


def test_a_first_deploy_must_fit() -> None:
    check(None, web(5))
    with pytest.raises(BadInput, match=r"networks.default: .* has room for 5 more instances, and this change needs 6"):
        check(None, web(6))


def test_an_update_needs_room_for_one_wave_and_not_for_everything_twice() -> None:
    check(web(4), web(4, 2))
    with pytest.raises(BadInput, match=r"room for 1 more .* needs 2 at once .*lower update_config.parallelism"):
        check(web(4), web(4, 2, parallelism=2))
    with pytest.raises(BadInput, match="room for 0 more"):
        check(web(5), web(5, 2))


def test_what_does_not_change_needs_no_room() -> None:
    check(web(5), web(5))


def test_one_that_takes_over_the_name_takes_over_the_address() -> None:
    with pytest.raises(BadInput):
        check(web(5), web(5, 2))
    check(web(1, container_name="one"), web(1, 2, container_name="one"))


def test_services_that_go_make_room_only_when_they_are_gone() -> None:
    gone = revision_of({"old": {"deploy": {"replicas": 5}}}, 1)
    with pytest.raises(BadInput):
        check(gone, web(1, 2))
