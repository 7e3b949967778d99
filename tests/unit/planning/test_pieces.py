"""Dependencies, placement, batches, obstacles and expansion, each by itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stampede.errors import Foreign, NeedsAdoption, Refused, StackFileError, StampedeError, UnknownName
from stampede.planning.batches import HostWork, batches
from stampede.planning.dependencies import levels, must_complete
from stampede.planning.expansion import expand
from stampede.planning.found import ForeignContainer, FoundHost, FoundNetwork
from stampede.planning.network_traits import network_traits
from stampede.planning.obstacles import refuse_obstacles
from stampede.planning.placement import place
from stampede.planning.plan import Demands
from stampede.stackfile.models import Deploy, Network, Service
from tests.unit.planning.worlds import STACK, World, revision_of


def services(**said: dict[str, Any]) -> dict[str, Service]:
    return {name: Service(**keys) for name, keys in said.items()}


def test_a_circle_of_dependencies_is_an_error_that_shows_it() -> None:
    circle = services(a={"depends_on": {"b": {}}}, b={"network_mode": "service:c"}, c={"depends_on": {"a": {}}})
    with pytest.raises(StackFileError, match=r"in a circle: .* → "):
        levels(circle)


def test_services_that_do_not_need_each_other_share_a_level() -> None:
    assert levels(services(web={"depends_on": {"db": {}}}, db={}, cache={})) == [["cache", "db"], ["web"]]


def test_only_what_is_waited_for_must_complete() -> None:
    done = {"condition": "service_completed_successfully"}
    assert must_complete(services(job={}, db={}, web={"depends_on": {"job": done, "db": {}}})) == {"job"}


def test_new_instances_go_where_the_fewest_are_and_old_ones_stay() -> None:
    world = World(hosts=("h1",))
    world.go(revision_of({"web": {"deploy": {"replicas": 2}}}))
    found = list(world.instances.values())
    homes = place(services(api={}, web={"scale": 3}), ("h1", "h2"), found)
    assert homes == {("api", 1): "h2", ("web", 1): "h1", ("web", 2): "h1", ("web", 3): "h2"}


def test_a_global_service_has_one_instance_on_each_host_whatever_else_there_is() -> None:
    everywhere = Service(deploy=Deploy(mode="global"))
    homes = place({"many": Service(scale=5), "agent": everywhere}, ("h1", "h2", "h3"), ())
    assert sorted(host for (name, _), host in homes.items() if name == "agent") == ["h1", "h2", "h3"]


def test_what_shares_a_namespace_lives_beside_its_owner() -> None:
    homes = place(services(pod={"scale": 2}, app={"scale": 2, "network_mode": "service:pod"}), ("h1", "h2"), ())
    assert [homes["app", number] for number in (1, 2)] == [homes["pod", number] for number in (1, 2)]


def test_without_a_host_nothing_can_be_placed() -> None:
    with pytest.raises(StampedeError, match="no host"):
        place({}, (), ())


def test_what_concerns_one_host_only_is_sent_there_in_one_piece() -> None:
    plan, _ = World().plan(revision_of({"web": {"depends_on": {"db": {}}}, "db": {}}))
    (batch,) = batches(plan)
    assert list(batch) == ["h1"]
    assert [lane.service for stage in batch["h1"].stages for lane in stage.lanes] == ["db", "web"]
    assert batch["h1"].is_last


def test_a_plan_without_changes_sends_nothing() -> None:
    world, revision = World(), revision_of({"web": {}})
    world.go(revision)
    assert list(batches(world.plan(revision)[0])) == []


def test_hosts_take_turns_wave_by_wave() -> None:
    policy = {"deploy": {"replicas": 4, "update_config": {"parallelism": 1}}}
    world = World(hosts=("h1", "h2"))
    world.go(revision_of({"web": policy}))
    plan, _ = world.plan(revision_of({"web": policy | {"environment": {"V": "2"}}}, 2))
    *pieces, last = batches(plan)
    slots = [[roll.slot for work in piece.values() for roll in rolls_of(work)] for piece in pieces]
    assert slots == [[1], [2], [3], [4]]
    assert all(len(piece) == 1 for piece in pieces)
    assert {host: (work.stages, work.is_last) for host, work in last.items()} == {"h1": ((), True), "h2": ((), True)}


def rolls_of(work: HostWork) -> list[Any]:
    return [roll for stage in work.stages for lane in stage.lanes for wave in lane.waves for roll in wave.rolls]


def test_networks_are_made_before_the_first_wave_and_removed_after_the_last() -> None:
    world = World(hosts=("h1", "h2"))
    revision = revision_of({"web": {"deploy": {"replicas": 2}}})
    first, *_ = batches(world.plan(revision)[0])
    assert all(work.preparation.networks == ("shop_default",) and not work.stages for work in first.values())
    world.go(revision)
    *_, last = batches(world.plan(None, demands=Demands())[0])
    assert all(work.clear.obsolete_networks == ("shop_default",) for work in last.values())


def obstacles(found: FoundHost, wanted: dict[str, Any], **sections: Any) -> None:
    revision = revision_of({"web": wanted}, **sections)
    refuse_obstacles(revision.definition, expand(revision, {("web", 1): "h1"}), [found])


def test_the_name_of_somebody_elses_container_is_refused() -> None:
    theirs = FoundHost(host="h1", foreign=(ForeignContainer(id="f", name="one"),))
    obstacles(theirs, {})
    with pytest.raises(Foreign, match="one"):
        obstacles(theirs, {"container_name": "one"})


def test_a_compose_project_that_runs_has_to_be_adopted_and_one_that_has_ended_does_not() -> None:
    theirs = ForeignContainer(id="f", name="shop-web-1", compose_project=STACK)
    obstacles(FoundHost(host="h1", foreign=(theirs.model_copy(update={"state": "exited"}),)), {})
    with pytest.raises(NeedsAdoption, match="adopt"):
        obstacles(FoundHost(host="h1", foreign=(theirs,)), {})


OPTION = "com.docker.network.bridge.enable_icc"
OTHERWISE: dict[str, dict[str, Any]] = {
    "internal": {"internal": True},
    "ipam.config.0.subnet": {"ipam": {"config": [{"subnet": "10.9.0.0/24", "gateway": "10.42.0.1"}]}},
    "ipam.config.0.gateway": {"ipam": {"config": [{"subnet": "10.42.0.0/24", "gateway": "10.42.0.9"}]}},
    "ipam.config.0.ip_range": {"ipam": {"config": [{"subnet": "10.42.0.0/24", "ip_range": "10.42.0.0/25"}]}},
    "ipam.config.0.aux_addresses.router": {
        "ipam": {"config": [{"subnet": "10.42.0.0/24", "aux_addresses": {"router": "10.42.0.9"}}]}
    },
    f"driver_opts.{OPTION}": {"driver_opts": {OPTION: "false"}},
    "labels.team": {"labels": {"team": "a"}},
}


def made_with(said: dict[str, Any]) -> FoundHost:
    """A host with the network of the stack as this definition made it."""
    network = Network(name="shop_default", **said)
    subnet = next((pool.subnet for pool in network.ipam.config), "10.42.0.0/24") or ""
    traits = network_traits(network, subnet)
    there = FoundNetwork(id="n", name="shop_default", stack=STACK, subnet=subnet, traits=traits)
    return FoundHost(host="h1", networks=(there,))


@pytest.mark.parametrize("key", OTHERWISE)
def test_a_network_that_the_file_defines_otherwise_is_refused_and_says_in_what(key: str) -> None:
    said = OTHERWISE[key]
    now = {"default": {"name": "shop_default"} | said}
    obstacles(made_with(said), {}, networks=now)
    with pytest.raises(Refused, match=f"networks.default: .* another {re.escape(key)},.*stampede down"):
        obstacles(made_with({}), {}, networks=now)
    if "subnet" not in key:
        with pytest.raises(Refused, match=re.escape(key)):
            obstacles(made_with(said), {})


def test_a_network_without_instances_may_be_defined_otherwise() -> None:
    networks = {"default": {"name": "shop_default", "internal": True}}
    obstacles(made_with({}), {"network_mode": "none"}, networks=networks)


def test_the_subnet_that_was_chosen_may_be_written_into_the_file() -> None:
    found = made_with({})
    obstacles(
        found, {}, networks={"default": {"name": "shop_default", "ipam": {"config": [{"subnet": "10.42.0.0/24"}]}}}
    )


def test_a_service_without_an_image_in_its_revision_is_an_error() -> None:
    revision = revision_of({"web": {}}).model_copy(update={"images": {}})
    with pytest.raises(UnknownName, match="no image for web"):
        expand(revision, {("web", 1): "h1"})


def test_files_are_named_by_a_keyed_digest_of_their_content() -> None:
    mounted = {"configs": [{"source": "c", "target": "/c", "mode": 0o400}], "secrets": [{"source": "s"}]}
    documents: dict[str, Any] = {
        "configs": {"c": {"name": "c", "content": "hello"}},
        "secrets": {"s": {"name": "s", "content": "hello"}},
    }
    (instance,) = expand(revision_of({"web": mounted}, **documents), {("web", 1): "h1"})
    config, secret = instance.files
    assert (config.target, secret.target) == ("/c", "/run/secrets/s")
    assert config.digest == secret.digest
    assert config.host_name != secret.host_name, "another mode is another copy"
    assert "hello" not in instance.model_dump_json()
