"""Listeners and servers as values."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampede.balancer.listeners import BalancedStack, Listener, Server, listeners_of, refuse_clashes, safe_name
from stampede.errors import Foreign
from stampede.stackfile.models import Port, Service, Stack


def listener(port: int = 80, *, stack: str = "shop", service: str = "web", host_ip: str | None = None) -> Listener:
    return Listener(stack=stack, service=service, port=port, target=8080, host_ip=host_ip)


def test_listeners_of_a_stack_use_what_was_chosen() -> None:
    services = {
        "web": Service(ports=(Port(target=8080, published="80"), Port(target=9090))),
        "dns": Service(ports=(Port(target=53, published="53", protocol="udp"),)),
    }
    found = listeners_of(Stack(name="shop", services=services), {"web/9090": 30001})
    assert [(one.name, one.target) for one in found] == [("shop.web.80", 8080), ("shop.web.30001", 9090)]


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_are_fit_for_haproxy_and_stay_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", safe_name(one))
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_one_port_at_two_addresses_is_two_listeners() -> None:
    refuse_clashes([listener(host_ip="127.0.0.1"), listener(host_ip="127.0.0.2")], [])


@pytest.mark.parametrize("host_ip", [None, "127.0.0.1", "::"])
def test_a_port_at_all_addresses_clashes_with_any(host_ip: str | None) -> None:
    with pytest.raises(Foreign, match=r"\*:80 of service web is published by service cms of stack blog"):
        refuse_clashes([listener()], [listener(stack="blog", service="cms", host_ip=host_ip)])


def test_two_services_of_one_stack_cannot_share_a_port() -> None:
    with pytest.raises(Foreign, match="service web of stack shop"):
        refuse_clashes([listener(), listener(service="api")], [])


def test_servers_go_with_the_last_listener_of_their_service() -> None:
    stack = BalancedStack(stack="shop").with_listeners([listener(), listener(service="api", port=81)])
    stack = stack.with_server(Server(service="web", name="web-1", address="10.0.0.1"))
    stack = stack.with_server(Server(service="api", name="api-1", address="10.0.0.2"))
    assert [server.name for server in stack.with_listeners([listener(port=82)]).servers] == ["web-1"]


def test_a_server_replaces_the_one_of_its_name() -> None:
    stack = BalancedStack(stack="shop").with_listeners([listener()])
    for address in ("10.0.0.1", "10.0.0.2"):
        stack = stack.with_server(Server(service="web", name="web-1", address=address))
    assert [server.address for server in stack.servers] == ["10.0.0.2"]
    assert stack.without_server("web", "web-1").without_server("web", "web-1").servers == ()
