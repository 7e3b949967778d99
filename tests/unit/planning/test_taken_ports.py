"""Ports that somebody else has are found while planning; those of the stack itself are not in its way."""

from __future__ import annotations

from typing import Any

import pytest

from stampede.balancer.listeners import BalancedStack, Listener
from stampede.balancer.taken import TakenPort, all_taken
from stampede.errors import Foreign, PortTaken, Refused
from stampede.planning.found import FoundHost
from stampede.planning.taken_ports import refuse_taken_ports
from tests.unit.planning.worlds import STACK, World, revision_of


def held(port: int = 8080, **more: Any) -> TakenPort:
    about = {"protocol": "tcp", "address": "0.0.0.0", "port": port, "holder": "nginx (pid 7)"}
    return TakenPort.model_validate(about | more)


def publish(*taken: TakenPort, balanced: BalancedStack | None = None, **port: Any) -> None:
    """Plan a first deploy of a service with this port on a host where these are taken."""
    said = {"target": 80, "published": "8080", "mode": "ingress", "protocol": "tcp"} | port
    revision = revision_of({"web": {"ports": [said]}})
    plan, instances = World().plan(revision)
    host = FoundHost(host="h1", taken=taken, balanced=balanced)
    refuse_taken_ports(plan, revision.definition, instances, [host])


def test_a_port_of_another_program_is_refused_with_its_key_and_its_holder() -> None:
    with pytest.raises(PortTaken, match=r"^services.web.ports: port \*:8080 .* in use by nginx \(pid 7\) on h1"):
        publish(held())


def test_a_port_of_another_stack_is_foreign() -> None:
    with pytest.raises(Foreign, match="service web of stack blog"):
        publish(held(holder="service web of stack blog", stack="blog"))


@pytest.mark.parametrize(
    "free", [held(8081), held(protocol="udp"), held(address="127.0.0.1")], ids=["port", "protocol", "address"]
)
def test_another_port_protocol_or_address_is_not_in_the_way(free: TakenPort) -> None:
    publish(free, host_ip="127.0.0.2")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.2"])
def test_every_address_overlaps_each(address: str) -> None:
    with pytest.raises(PortTaken):
        publish(held(address=address), host_ip="127.0.0.2")


def test_what_the_balancer_serves_for_the_stack_already_is_not_taken() -> None:
    served = BalancedStack(stack=STACK, listeners=(Listener(stack=STACK, service="old", port=8080, target=80),))
    publish(held(), balanced=served)


def test_a_range_is_refused_only_when_all_of_it_is_taken() -> None:
    publish(held(7000), published="7000-7001")
    with pytest.raises(PortTaken, match="7000-7001 is in use on h1"):
        publish(held(7000), held(7001), published="7000-7001")
    publish(held(7000), published="7000-7001", mode="host")
    with pytest.raises(PortTaken):
        publish(held(7000), held(7001), published="7000-7001", mode="host")


@pytest.mark.parametrize("port", [{"protocol": "udp"}, {"mode": "host"}], ids=["udp", "mode host"])
def test_a_port_that_docker_publishes_is_refused_too(port: dict[str, Any]) -> None:
    taken = held(protocol=port.get("protocol", "tcp"))
    with pytest.raises(PortTaken):
        publish(taken, **port)
    publish(taken.model_copy(update={"stack": STACK, "container": "c"}), **port)


def test_a_port_that_docker_publishes_for_a_running_instance_is_not_asked_about() -> None:
    world, port = World(), {"target": 53, "published": "53", "mode": "host", "protocol": "udp"}
    revision = revision_of({"dns": {"ports": [port]}})
    world.go(revision)
    plan, instances = world.plan(revision)
    taken = FoundHost(host="h1", taken=(held(53, protocol="udp"),))
    refuse_taken_ports(plan, revision.definition, instances, [taken])


def test_the_balancer_cannot_have_what_a_container_of_the_stack_publishes() -> None:
    with pytest.raises(Refused, match="cannot be balanced while container shop-web-1"):
        publish(held(holder="container shop-web-1", stack=STACK, container="c"))


def test_a_proxy_before_a_container_is_named_after_the_container() -> None:
    published = held(holder="container shop-web-1", stack=STACK, container="c")
    proxy, other = held(holder="docker-proxy (pid 9)", address="0.0.0.0"), held(81)
    assert all_taken([published], [proxy, other], STACK, ()) == (published, other)


def test_what_listens_in_a_container_with_the_hosts_network_is_of_its_stack() -> None:
    (found,) = all_taken([], [held(container="c")], STACK, {"c"})
    assert found.stack == STACK
