"""Subnets and addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampede.addresses import assign, network_subnet
from stampede.errors import BadInput


def test_the_first_free_subnet_is_taken() -> None:
    assert network_subnet([]) == "10.42.0.0/24"
    assert network_subnet(["172.17.0.0/16", "10.42.0.0/23", "10.42.2.128/25", "fd00::/64"]) == "10.42.3.0/24"
    assert network_subnet(["10.42.0.7"]) == "10.42.1.0/24"


def test_a_full_range_is_said_so() -> None:
    with pytest.raises(BadInput, match="no free"):
        network_subnet(["10.0.0.0/8"])


def test_network_gateway_and_broadcast_are_never_given() -> None:
    assert assign("10.42.0.0/30", [], ["a"]) == {"a": "10.42.0.2"}
    with pytest.raises(BadInput, match="no free address left for b"):
        assign("10.42.0.0/30", [], ["a", "b"])


def test_what_has_an_address_keeps_it() -> None:
    assert assign("10.42.0.0/24", ["10.42.0.2"], ["a", "b"], {"b": "10.42.0.3"}) == {"a": "10.42.0.4", "b": "10.42.0.3"}


@given(st.sets(st.integers(0, 63)), st.lists(st.text(max_size=3), max_size=20))
def test_addresses_are_free_distinct_and_inside(used: set[int], wanted: list[str]) -> None:
    net = ipaddress.IPv4Network("10.42.7.0/24")
    taken = [str(net[number]) for number in used]
    given_out = assign(str(net), taken, wanted)
    assert set(given_out) == set(wanted)
    assert len(set(given_out.values())) == len(given_out)
    assert not set(given_out.values()) & {*taken, str(net[0]), str(net[1]), str(net[255])}
    assert all(ipaddress.IPv4Address(address) in net for address in given_out.values())
