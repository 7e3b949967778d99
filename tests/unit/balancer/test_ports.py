"""Which ports are balanced, and which host ports are chosen where a file leaves a choice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampede.balancer.ports import FIRST_CHOSEN, WantedPort, choose_ports, wanted_ports
from stampede.errors import BadInput, PortTaken
from stampede.stackfile.models import Port, Service


def wanted(*ports: Port, network_mode: str | None = None) -> tuple[WantedPort, ...]:
    return wanted_ports("shop", {"web": Service(ports=ports, network_mode=network_mode)})


def test_a_fixed_port_leaves_no_choice() -> None:
    (port,) = wanted(Port(target=8080, published="80"))
    assert (port.fixed, port.target, port.protocol, port.host_ip) == (80, 8080, "tcp", None)
    assert choose_ports([port], {80}, {}) == {}


def test_app_protocol_http_selects_http_mode() -> None:
    (port,) = wanted(Port(target=80, published="80", app_protocol="http"))
    assert port.protocol == "http"


@pytest.mark.parametrize("port", [Port(target=53, protocol="udp"), Port(target=80, mode="host")])
def test_udp_and_host_mode_are_left_to_docker(port: Port) -> None:
    assert wanted(port) == ()


@pytest.mark.parametrize("mode", ["host", "none", "service:db"])
def test_services_without_a_network_of_their_own_are_not_balanced(mode: str) -> None:
    assert wanted(Port(target=80, published="80"), network_mode=mode) == ()


def test_all_addresses_are_written_in_one_way() -> None:
    (port,) = wanted(Port(target=80, published="80", host_ip="0.0.0.0"))
    assert port.host_ip is None


@pytest.mark.parametrize("published", ["http", "0-3", "9-7", "70000", "1-2-3"])
def test_what_is_no_port_is_refused_with_a_hint(published: str) -> None:
    with pytest.raises(BadInput, match="published: 8080"):
        wanted(Port(target=80, published=published))


def test_keys_do_not_depend_on_the_other_ports() -> None:
    alone = wanted(Port(target=80))
    among = wanted(Port(target=9000), Port(target=80), Port(target=80), Port(target=81, name="admin"))
    assert [port.key for port in among] == ["web/9000", "web/80", "web/80#2", "web/admin"]
    assert alone[0].key == "web/80"


def test_a_choice_is_kept_while_it_fits() -> None:
    ports = wanted(Port(target=80), Port(target=81, published="7000-7010"))
    assert choose_ports(ports, {FIRST_CHOSEN}, {"web/80": 31234, "web/81": 6999}) == {"web/80": 31234, "web/81": 7000}


def test_of_a_range_the_first_free_port_is_taken() -> None:
    assert choose_ports(wanted(Port(target=80, published="7000-7010")), {7000, 7001}, {}) == {"web/80": 7002}


def test_a_range_without_a_free_port_says_so() -> None:
    with pytest.raises(PortTaken, match="7000-7001"):
        choose_ports(wanted(Port(target=80, published="7000-7001")), {7000, 7001}, {})


@given(taken=st.sets(st.integers(FIRST_CHOSEN, FIRST_CHOSEN + 8)), count=st.integers(0, 5))
def test_choices_are_free_and_differ(taken: set[int], count: int) -> None:
    ports = wanted(*(Port(target=80 + number) for number in range(count)))
    chosen = choose_ports(ports, taken, {})
    assert len(set(chosen.values())) == count
    assert not set(chosen.values()) & taken
    assert choose_ports(ports, taken, chosen) == chosen
