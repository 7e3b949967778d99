"""The tasks of the balancer, on the fake that keeps its promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prefect.logging import disable_run_logger

from stampede.balancer.ports import WantedPort, wanted_ports
from stampede.errors import DaemonError, PortTaken
from stampede.stackfile.models import Port, Service
from stampede.tasks.balancer import ensure_listeners, put_in_service, take_out_of_service
from tests.fakes.haproxy import FakeHAProxy


@pytest.fixture(autouse=True)
def _without_a_run() -> Iterator[None]:
    with disable_run_logger():
        yield


@pytest.fixture
def haproxy() -> FakeHAProxy:
    return FakeHAProxy()


def wanted(*ports: Port) -> tuple[WantedPort, ...]:
    return wanted_ports("shop", {"web": Service(ports=ports)})


async def test_listeners_are_published_once(haproxy: FakeHAProxy) -> None:
    ports = wanted(Port(target=8080, published="80"))
    first, again = [await ensure_listeners.fn(haproxy, "shop", ports, {}) for _ in range(2)]
    assert [listener.bind for listener in first] == ["*:80"]
    assert again == first
    assert haproxy.reloads == 1


async def test_haproxy_is_started_for_the_first_listener_and_not_for_none(haproxy: FakeHAProxy) -> None:
    haproxy.running = False
    await ensure_listeners.fn(haproxy, "shop", (), {})
    assert not haproxy.running
    await ensure_listeners.fn(haproxy, "shop", wanted(Port(target=8080, published="80")), {})
    assert haproxy.running


async def test_a_chosen_port_avoids_what_is_taken_and_is_kept(haproxy: FakeHAProxy) -> None:
    haproxy.foreign_ports = {7000}
    ports = wanted(Port(target=8080, published="7000-7010"))
    (first,) = await ensure_listeners.fn(haproxy, "shop", ports, {})
    (again,) = await ensure_listeners.fn(haproxy, "shop", ports, {"web/8080": 7001})
    assert (first.port, again.port) == (7001, 7001)


async def test_a_fixed_port_that_is_taken_fails_and_publishes_nothing(haproxy: FakeHAProxy) -> None:
    haproxy.foreign_ports = {80}
    with pytest.raises(PortTaken):
        await ensure_listeners.fn(haproxy, "shop", wanted(Port(target=8080, published="80")), {})
    assert haproxy.desired("shop").listeners == ()


async def test_an_instance_goes_into_service_and_out_again_and_twice_equals_once(haproxy: FakeHAProxy) -> None:
    haproxy.answering.add("10.0.0.2")
    await ensure_listeners.fn(haproxy, "shop", wanted(Port(target=8080, published="80")), {})
    assert await put_in_service.fn(haproxy, "shop", "web", "web-1", "10.0.0.2") is True
    assert await put_in_service.fn(haproxy, "shop", "web", "web-1", "10.0.0.2") is False
    haproxy.connections["web-1"] = 2
    assert await take_out_of_service.fn(haproxy, "shop", "web", "web-1") == 2
    assert await take_out_of_service.fn(haproxy, "shop", "web", "web-1") == 0
    assert haproxy.servers("shop") == ()
    assert haproxy.reloads == 1


async def test_an_instance_that_accepts_nothing_gets_no_traffic(haproxy: FakeHAProxy) -> None:
    await ensure_listeners.fn(haproxy, "shop", wanted(Port(target=8080, published="80")), {})
    with pytest.raises(DaemonError, match="did not accept"):
        await put_in_service.fn(haproxy, "shop", "web", "web-1", "10.0.0.2", limit_s=1)
    assert [server.in_service for server in haproxy.desired("shop").servers] == [False]


async def test_a_stack_that_goes_takes_its_listeners_along(haproxy: FakeHAProxy) -> None:
    await ensure_listeners.fn(haproxy, "shop", wanted(Port(target=8080, published="80")), {})
    for _ in range(2):
        assert await ensure_listeners.fn(haproxy, "shop", (), {}) == ()
    assert haproxy.desired("shop").listeners == ()
    assert haproxy.reloads == 2
