"""Ports: chosen ones that stay, ranges, host addresses, ports that containers publish themselves."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx
import pytest

from tests.lab.installation import until
from tests.lab.stacks import LabStack, page, web

pytestmark = pytest.mark.functional


def port_of(stack: LabStack) -> int:
    """The host port under which `ps` shows the only published port of the stack."""
    until(lambda: any(one["published"] for one in stack.ps()), "ps shows where it is published")
    (published,) = {where for one in stack.ps() for where in one["published"]}
    return port_in(published)


def test_a_port_that_was_chosen_is_kept_over_updates_and_scaling(stack: LabStack) -> None:
    free = [{"target": 80, "app_protocol": "http"}]
    stack.up({"web": web("one", ports=free)})
    port = port_of(stack)
    assert page(port) == "one"
    stack.up({"web": web("two", ports=free)})
    stack.do("scale", "web=2")
    assert port_of(stack) == port
    assert page(port) == "two"


def test_a_range_gives_the_first_port_that_is_free(stack: LabStack) -> None:
    with socket.socket() as taken:
        first = bound_low(taken)
        stack.up({"web": web("one", ports=[{"target": 80, "published": f"{first}-{first + 3}"}])})
        assert first < port_of(stack) <= first + 3
    assert page(port_of(stack)) == "one"
    assert stack.do("up").json["changed"] == []


def test_a_host_address_is_the_only_one_it_listens_at(stack: LabStack, free_port: int) -> None:
    stack.up({"web": web("one", ports=[{"target": 80, "published": str(free_port), "host_ip": "127.0.0.2"}])})
    assert page(free_port, "127.0.0.2") == "one"
    with pytest.raises(httpx.ConnectError):
        page(free_port, "127.0.0.1")


def test_a_changed_port_moves_without_replacing_an_instance(
    stack: LabStack, free_ports: Callable[[int], list[int]]
) -> None:
    old, new = free_ports(2)
    stack.up({"web": web("one", old)})
    before = stack.ids()
    stack.up({"web": web("one", new)})
    assert stack.ids() == before
    assert page(new) == "one"
    with pytest.raises(httpx.ConnectError):
        page(old)


def test_a_port_in_mode_host_is_published_by_the_container_itself_so_the_old_one_stops_first(
    stack: LabStack, free_port: int
) -> None:
    direct = [{"target": 80, "published": str(free_port), "mode": "host"}]
    stack.up({"web": web("one", ports=direct)})
    assert page(free_port) == "one"
    did = stack.up({"web": web("two", ports=direct)})
    assert "stop-first" in did["changes"][0]["reason"]
    assert "published by the container itself" in did["changes"][0]["reason"]
    assert page(free_port) == "two"


def test_a_port_that_docker_publishes_is_chosen_once_kept_and_shown(stack: LabStack) -> None:
    ports = [{"target": 80, "mode": "host"}, {"target": 53, "protocol": "udp"}]
    stack.up({"web": web("one", ports=ports)})
    first = shown(stack)
    (tcp,) = [port for where, port in first if where == "web-1 80"]
    assert page(tcp) == "one"
    assert {30000 <= port <= 32767 for _, port in first} == {True}
    stack.do("restart", "web")
    assert shown(stack) == first
    stack.up({"web": web("two", ports=ports)})
    assert shown(stack) == first
    assert page(tcp) == "two"
    stack.do("scale", "web=2")
    until(lambda: len(shown(stack)) == 4, "ps shows both")
    assert shown(stack) > first, "the other one has ports of its own"
    assert str(tcp) in stack.installation.run("ps", "-p", stack.name).out


def shown(stack: LabStack) -> set[tuple[str, int]]:
    """Instance and container port with the host port, as `ps` has them, once it has them."""
    until(lambda: all(one["published"] and one["state"] == "running" for one in stack.ps()), "ps shows the ports")
    return {
        (f"{one['service']}-{one['slot']} {where.partition('->')[2]}", port_in(where))
        for one in stack.ps()
        for where in one["published"]
    }


def port_in(where: str) -> int:
    return int(where.partition("->")[0].rpartition(":")[2])


def test_a_killed_balancer_comes_back_with_everything_it_served(stack: LabStack, free_port: int) -> None:
    stack.up({"web": web("one", free_port, deploy={"replicas": 2})})
    stack.installation.kill("haproxy")
    until(lambda: answers(free_port), "the balancer answers again")
    assert page(free_port) == "one"
    assert stack.do("up").json["changed"] == []


def answers(port: int) -> bool:
    try:
        return bool(page(port))
    except httpx.HTTPError:
        return False


def bound_low(taken: socket.socket) -> int:
    """Bind the first of four ports of which the others are free; below those that the kernel gives away."""
    for first in range(20000, 30000, 10):
        try:
            taken.bind(("0.0.0.0", first))
        except OSError:
            continue
        taken.listen()
        return first
    raise AssertionError("no port is free")
