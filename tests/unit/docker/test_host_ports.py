"""Host ports of what Docker publishes: chosen where the file leaves it open, and kept."""

from __future__ import annotations

import pytest

from stampede.containers.ports import choose_host_ports, left_to_choose, port_bindings
from stampede.errors import PortTaken
from stampede.stackfile.models import Port, Service

DNS = Port(target=53, protocol="udp")
RANGE = Port(target=80, published="8000-8001", mode="host")


def service(*ports: Port) -> Service:
    return Service(image="x", ports=ports)


def test_only_what_docker_publishes_and_the_file_leaves_open_is_chosen() -> None:
    fixed, balanced = Port(target=54, published="54", protocol="udp"), Port(target=8080)
    said = service(DNS, fixed, balanced, RANGE, Port(target=9, published="0", mode="host"))
    assert list(left_to_choose(said)) == ["53/udp", "80/tcp", "9/tcp"]
    assert choose_host_ports("shop", "web", said, (), {}) == {"53/udp": 30000, "80/tcp": 8000, "9/tcp": 30000}


def test_a_choice_is_kept_unless_somebody_took_it() -> None:
    kept = {"53/udp": 30007}
    assert choose_host_ports("shop", "web", service(DNS), (), kept) == kept
    assert choose_host_ports("shop", "web", service(DNS), {("tcp", 30007)}, kept) == kept
    taken = {("udp", 30007), ("udp", 30000)}
    assert choose_host_ports("shop", "web", service(DNS), taken, kept) == {"53/udp": 30001}
    assert choose_host_ports("shop", "web", service(RANGE), (), {"80/tcp": 31000}) == {"80/tcp": 8000}


def test_a_range_without_a_free_port_is_an_error() -> None:
    with pytest.raises(PortTaken, match=r"services.web.ports: every host port of 8000-8001"):
        choose_host_ports("shop", "web", service(RANGE), {("tcp", 8000), ("tcp", 8001)}, {})


def test_two_ports_to_one_target_get_a_port_each() -> None:
    said = service(DNS, DNS.model_copy(update={"host_ip": "127.0.0.1"}))
    chosen = choose_host_ports("shop", "web", said, (), {})
    assert chosen == {"53/udp": 30000, "53/udp#2": 30001}
    assert port_bindings(said, chosen) == {
        "53/udp": [{"HostIp": "", "HostPort": "30000"}, {"HostIp": "127.0.0.1", "HostPort": "30001"}]
    }
