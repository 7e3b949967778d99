"""haproxy.cfg as text."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from stampede.balancer.listeners import BalancedStack, Listener, Server
from stampede.balancer.render import Surroundings, fingerprint, render

HOST = Surroundings(admin_socket=Path("/run/stampede/haproxy.sock"))
SHOP = BalancedStack(
    stack="shop",
    listeners=(Listener(stack="shop", service="web", port=80, target=8080, protocol="http"),),
    servers=(
        Server(service="web", name="shop-web-1-3fa9c1", address="10.42.0.7", state="serving"),
        Server(service="web", name="shop-web-2-3fa9c1", address="10.42.0.8", state="unhealthy"),
        Server(service="web", name="shop-web-3-3fa9c1", address="10.42.0.9"),
    ),
)
DB = BalancedStack(stack="db", listeners=(Listener(stack="db", service="pg", host_ip="::1", port=5432, target=5432),))

CHECK = "check inter 2s fastinter 500ms downinter 300ms fall 3 rise 1"
EXPECTED_SHOP = f"""
frontend front:shop.web.80
  mode http
  bind *:80
  use_backend open:shop.web.80 if {{ nbsrv(shop.web.80) eq 0 }}
  default_backend shop.web.80
backend shop.web.80
  mode http
  balance roundrobin
  option forwardfor
  retry-on conn-failure
  server shop-web-1-3fa9c1 10.42.0.7:8080 {CHECK}
  server shop-web-2-3fa9c1 10.42.0.8:8080 {CHECK} disabled
  server shop-web-3-3fa9c1 10.42.0.9:8080 {CHECK} disabled
backend open:shop.web.80
  mode http
  balance roundrobin
  option forwardfor
  retry-on conn-failure
  server shop-web-1-3fa9c1 10.42.0.7:8080
  server shop-web-2-3fa9c1 10.42.0.8:8080
  server shop-web-3-3fa9c1 10.42.0.9:8080 disabled
"""


def test_a_listener_has_a_checked_backend_and_one_to_fall_back_on() -> None:
    assert render([SHOP], HOST).endswith(EXPECTED_SHOP)


def test_an_ipv6_address_is_bracketed_and_listens_for_ipv6_only() -> None:
    assert "  bind [::1]:5432 v6only\n" in render([DB], HOST)
    assert "frontend front:db.pg.::1:5432\n" in render([DB], HOST)


def test_the_order_of_stacks_does_not_matter() -> None:
    third = BalancedStack(stack="zoo", listeners=(Listener(stack="zoo", service="a", port=1, target=1),))
    assert len({render(order, HOST) for order in permutations([SHOP, DB, third])}) == 1
    assert len({fingerprint(order, HOST) for order in permutations([SHOP, DB, third])}) == 1


def test_the_fingerprint_follows_listeners_and_not_servers() -> None:
    before = fingerprint([SHOP], HOST)
    assert fingerprint([SHOP.model_copy(update={"servers": ()})], HOST) == before
    assert fingerprint([SHOP, BalancedStack(stack="idle")], HOST) == before
    assert fingerprint([SHOP, DB], HOST) != before
    tcp = SHOP.listeners[0].model_copy(update={"protocol": "tcp"})
    assert fingerprint([SHOP.with_listeners([tcp])], HOST) != before


def test_the_configuration_carries_its_fingerprint() -> None:
    assert f"  description {fingerprint([SHOP, DB], HOST)}\n" in render([SHOP, DB], HOST)


def test_workers_run_as_a_user_where_there_is_one() -> None:
    host = Surroundings(admin_socket=HOST.admin_socket, user="haproxy", group="haproxy")
    assert "  user haproxy\n  group haproxy\n" in render([], host)
    assert "user" not in render([], HOST)
