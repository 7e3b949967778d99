"""An instance whose own health check fails gets no new traffic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stampede.balancer.listeners import listener_for
from stampede.balancer.ports import wanted_ports
from stampede.deployments.balanced_health import tell_balancer
from stampede.places import Places
from stampede.planning.found import FoundInstance
from stampede.stackfile.models import Port, Service
from stampede.tasks.this_host import ThisHost
from tests.fakes.docker import FakeDockerHost
from tests.fakes.haproxy import FakeHAProxy
from tests.fakes.volumes import FakeVolumePool


@pytest.fixture
def host(places: Places) -> ThisHost:
    haproxy = FakeHAProxy()
    ports = wanted_ports("shop", {"web": Service(ports=(Port(target=80, published="8080"),))})
    haproxy.configure("shop", [listener_for(port, {}) for port in ports])
    haproxy.answering.add("10.0.0.2")
    haproxy.add_server("shop", "web", "web-1", "10.0.0.2")
    haproxy.wait_server_up("shop", "web", "web-1", 1.0)
    return ThisHost(
        name="h1",
        cluster="lab",
        places=places,
        docker=FakeDockerHost(),
        haproxy=haproxy,
        pool=FakeVolumePool(places.pool),
    )


def instance(**more: Any) -> FoundInstance:
    about: dict[str, Any] = {"id": "1", "name": "web-1", "host": "h1", "stack": "shop", "service": "web", "slot": 1}
    about |= {"revision": 1, "spec_hash": "1:0", "state": "running", "image": "web:1"}
    return FoundInstance(created_at=datetime(2026, 1, 1, tzinfo=UTC), **about | more)


def state_of(host: ThisHost) -> str:
    server = host.haproxy.desired("shop").server("web", "web-1")
    return server.state if server else "gone"


def test_one_that_is_unhealthy_leaves_the_rotation_and_comes_back_when_it_is_well(host: ThisHost) -> None:
    assert tell_balancer(host, [instance(health="unhealthy")]) == ["web-1"]
    assert state_of(host) == "unhealthy"
    assert tell_balancer(host, [instance(health="starting")]) == []
    assert state_of(host) == "unhealthy"
    assert tell_balancer(host, [instance(health="healthy")]) == ["web-1"]
    assert state_of(host) == "serving"
    assert tell_balancer(host, [instance(health="healthy")]) == []


def test_one_that_is_being_taken_out_is_left_to_whoever_does_that(host: ThisHost) -> None:
    host.haproxy.drain_server("shop", "web", "web-1", 0.0)
    assert tell_balancer(host, [instance(health="healthy")]) == []
    assert state_of(host) == "draining"


def test_one_without_a_health_check_keeps_its_traffic(host: ThisHost) -> None:
    assert tell_balancer(host, [instance()]) == []
    assert state_of(host) == "serving"
