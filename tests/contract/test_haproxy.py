"""What every balancer promises (stampede/blocks/haproxy/verbs.py), held against the fake and a real HAProxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from stampede.balancer.listeners import Listener
from stampede.blocks.haproxy import Balancer
from stampede.errors import Cancelled, DaemonError, DaemonUnavailable, Foreign, PortTaken, UnknownName
from tests.fakes.haproxy import FakeHAProxy
from tests.functional.balancer.running import Backends, RunningHAProxy, free_port, running_backends, running_haproxy


class FakeHost:
    """A host whose balancer is the fake."""

    def __init__(self) -> None:
        self.fake = FakeHAProxy()
        self.balancer: Balancer = self.fake
        self.target = 8080

    def start_instance(self, name: str, address: str) -> None:
        self.fake.answering.add(address)

    def let_another_program_listen(self, port: int) -> None:
        self.fake.foreign_ports.add(port)

    def stop_haproxy(self) -> None:
        self.fake.running = False

    def start_haproxy(self) -> None:
        self.fake.running = True

    def hold_connection(self, port: int, name: str) -> None:
        self.fake.connections[name] = 1


class RealHost:
    """A host with HAProxy and instances that greet and then hold their connections."""

    def __init__(self, haproxy: RunningHAProxy, backends: Backends, stack: ExitStack) -> None:
        self._haproxy, self._backends, self._stack = haproxy, backends, stack
        self.balancer: Balancer = haproxy.block
        self.target = backends.port

    def start_instance(self, name: str, address: str) -> None:
        self._backends.start_tcp(name, address)

    def let_another_program_listen(self, port: int) -> None:
        self._stack.enter_context(socket.create_server(("127.0.0.1", port)))

    def stop_haproxy(self) -> None:
        self._haproxy.kill()

    def start_haproxy(self) -> None:
        self._haproxy.start()

    def hold_connection(self, port: int, name: str) -> None:
        connection = self._stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        assert connection.recv(5) == b"hello"


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.functional)])
def host(request: pytest.FixtureRequest) -> Iterator[FakeHost | RealHost]:
    if request.param == "fake":
        yield FakeHost()
        return
    with ExitStack() as stack:
        haproxy, backends = stack.enter_context(running_haproxy()), stack.enter_context(running_backends())
        yield RealHost(haproxy, backends, stack)


Host = FakeHost | RealHost


def listener(host: Host, *, stack: str = "shop", service: str = "web", port: int | None = None) -> Listener:
    return Listener(stack=stack, service=service, port=port or free_port(), target=host.target)


def serve(host: Host, name: str, address: str) -> None:
    host.start_instance(name, address)
    host.balancer.add_server("shop", "web", name, address)
    host.balancer.wait_server_up("shop", "web", name, 10)


def states(host: Host) -> dict[str, str]:
    return {server.name: server.state for server in host.balancer.servers("shop")}


def test_listeners_that_are_published_already_change_nothing(host: Host) -> None:
    wanted = listener(host)
    assert host.balancer.configure("shop", [wanted]) is True
    assert host.balancer.configure("shop", [wanted]) is False
    assert host.balancer.desired("shop").listeners == (wanted,)


def test_an_added_server_waits_for_its_check_and_then_serves(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    host.start_instance("web-1", "127.0.0.2")
    assert host.balancer.add_server("shop", "web", "web-1", "127.0.0.2") is True
    assert states(host) == {"web-1": "joining"}
    assert host.balancer.wait_server_up("shop", "web", "web-1", 10) is True
    assert states(host) == {"web-1": "serving"}


def test_adding_and_waiting_twice_changes_nothing(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    assert host.balancer.add_server("shop", "web", "web-1", "127.0.0.2") is False
    assert host.balancer.wait_server_up("shop", "web", "web-1", 10) is False


def test_a_server_with_a_new_address_has_to_prove_itself_again(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    assert host.balancer.add_server("shop", "web", "web-1", "127.0.0.3") is True
    assert [(one.address, one.state) for one in host.balancer.servers("shop")] == [("127.0.0.3", "joining")]


def test_a_server_that_does_not_answer_gets_no_traffic_and_a_clear_error(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    host.balancer.add_server("shop", "web", "web-1", "127.0.0.9")
    with pytest.raises(DaemonError, match=r"web-1 did not accept connections at 127\.0\.0\.9"):
        host.balancer.wait_server_up("shop", "web", "web-1", 0.6)
    assert states(host) == {"web-1": "joining"}


def test_waiting_for_a_server_nobody_added_is_an_error(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    with pytest.raises(UnknownName, match="web-7"):
        host.balancer.wait_server_up("shop", "web", "web-7", 1)


def test_a_service_without_ports_has_nothing_to_balance(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    assert host.balancer.add_server("shop", "worker", "worker-1", "127.0.0.2") is False
    assert host.balancer.wait_server_up("shop", "worker", "worker-1", 1) is False
    assert host.balancer.drain_server("shop", "worker", "worker-1", 1) == 0
    assert host.balancer.remove_server("shop", "worker", "worker-1") is False


def test_an_idle_server_drains_at_once_and_goes(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    assert host.balancer.drain_server("shop", "web", "web-1", 5) == 0
    assert states(host) == {"web-1": "draining"}
    assert host.balancer.remove_server("shop", "web", "web-1") is True
    assert states(host) == {}


def test_draining_and_removing_twice_changes_nothing(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    for _ in range(2):
        assert host.balancer.drain_server("shop", "web", "web-1", 5) == 0
    assert host.balancer.remove_server("shop", "web", "web-1") is True
    assert host.balancer.drain_server("shop", "web", "web-1", 5) == 0
    assert host.balancer.remove_server("shop", "web", "web-1") is False


def test_a_server_that_drains_is_still_known_until_it_is_removed(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    host.balancer.drain_server("shop", "web", "web-1", 5)
    (known,) = host.balancer.desired("shop").servers
    assert known.state == "draining"
    assert not known.in_service
    with pytest.raises(UnknownName):
        host.balancer.wait_server_up("shop", "web", "web-1", 1)
    host.balancer.remove_server("shop", "web", "web-1")
    assert host.balancer.desired("shop").servers == ()


def test_a_server_that_drains_can_be_added_again(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    host.balancer.drain_server("shop", "web", "web-1", 5)
    assert host.balancer.add_server("shop", "web", "web-1", "127.0.0.2") is True
    assert host.balancer.wait_server_up("shop", "web", "web-1", 10) is True
    assert states(host) == {"web-1": "serving"}


def test_connections_that_outlast_the_drain_limit_are_cut_and_counted(host: Host) -> None:
    wanted = listener(host)
    host.balancer.configure("shop", [wanted])
    serve(host, "web-1", "127.0.0.2")
    host.hold_connection(wanted.port, "web-1")
    assert [server.sessions for server in host.balancer.servers("shop")] == [1]
    assert host.balancer.drain_server("shop", "web", "web-1", 0.3) == 1


def test_a_wait_for_a_server_ends_when_it_is_cancelled(host: Host) -> None:
    cancelled = threading.Event()
    cancelled.set()
    wanted = listener(host)
    host.balancer.configure("shop", [wanted])
    host.balancer.add_server("shop", "web", "web-9", "127.0.0.9")
    with pytest.raises(Cancelled):
        host.balancer.wait_server_up("shop", "web", "web-9", 3600, cancelled)
    serve(host, "web-1", "127.0.0.2")
    host.hold_connection(wanted.port, "web-1")
    with pytest.raises(Cancelled):
        host.balancer.drain_server("shop", "web", "web-1", 3600, cancelled)
    assert {server.name: server.sessions for server in host.balancer.servers("shop")}["web-1"] == 1, "it was not cut"


def test_an_unhealthy_server_is_marked_and_comes_back(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    assert host.balancer.mark_health("shop", "web", "web-1", healthy=False) is True
    assert states(host) == {"web-1": "unhealthy"}
    assert host.balancer.mark_health("shop", "web", "web-1", healthy=False) is False
    assert host.balancer.mark_health("shop", "web", "web-1", healthy=True) is True
    assert states(host) == {"web-1": "serving"}


def test_a_change_of_listeners_keeps_the_servers_of_the_service(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    assert host.balancer.configure("shop", [listener(host), listener(host)]) is True
    assert states(host) == {"web-1": "serving"}


def test_a_port_of_another_stack_is_refused_and_names_it(host: Host) -> None:
    wanted = listener(host)
    host.balancer.configure("shop", [wanted])
    with pytest.raises(Foreign, match="service web of stack shop"):
        host.balancer.configure("blog", [listener(host, stack="blog", port=wanted.port)])
    assert host.balancer.desired("blog").listeners == ()
    (taken,) = [found for found in host.balancer.taken("blog") if found.port == wanted.port]
    assert (taken.stack, taken.holder) == ("shop", "service web of stack shop")
    assert wanted.port not in [found.port for found in host.balancer.taken("shop")]


def test_a_port_of_another_program_is_refused_and_what_was_there_stays(host: Host) -> None:
    first, taken = listener(host), free_port()
    host.balancer.configure("shop", [first])
    host.let_another_program_listen(taken)
    with pytest.raises(PortTaken, match=str(taken)):
        host.balancer.configure("shop", [first, listener(host, port=taken)])
    assert host.balancer.desired("shop").listeners == (first,)
    (held,) = [found for found in host.balancer.taken("shop") if found.port == taken]
    assert (held.protocol, held.stack) == ("tcp", "")


def test_without_haproxy_verbs_are_transient_and_take_effect_when_it_is_back(host: Host) -> None:
    wanted = listener(host)
    host.stop_haproxy()
    with pytest.raises(DaemonUnavailable):
        host.balancer.configure("shop", [wanted])
    with pytest.raises(DaemonUnavailable):
        host.balancer.statistics()
    host.start_haproxy()
    host.balancer.configure("shop", [wanted])
    assert [one.bind for one in host.balancer.statistics().listeners] == [wanted.bind]


def test_to_publish_nothing_no_haproxy_has_to_run(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    host.stop_haproxy()
    assert host.balancer.configure("shop", []) is True
    assert host.balancer.configure("shop", []) is False
    assert host.balancer.configure("blog", []) is False
    host.start_haproxy()
    assert host.balancer.statistics().listeners == ()


def test_a_stack_that_publishes_nothing_leaves_nothing(host: Host) -> None:
    host.balancer.configure("shop", [listener(host)])
    serve(host, "web-1", "127.0.0.2")
    assert host.balancer.configure("shop", []) is True
    assert host.balancer.configure("shop", []) is False
    assert host.balancer.servers("shop") == ()
    assert host.balancer.desired("shop").servers == ()


def test_whether_it_runs_is_known(host: Host) -> None:
    assert host.balancer.is_running()
    host.stop_haproxy()
    assert not host.balancer.is_running()
    host.start_haproxy()
    assert host.balancer.is_running()
