"""A real HAProxy in front of real servers: changes under load, refusals, crashes, and starts from files alone."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from stampede.balancer.listeners import Listener
from stampede.balancer.taken import TakenPort
from stampede.blocks.haproxy import service_argv
from stampede.errors import BadInput, DaemonError, DaemonUnavailable, PortTaken
from tests.functional.balancer.load import load
from tests.functional.balancer.running import Backends, RunningHAProxy, free_port, running_backends, running_haproxy

pytestmark = pytest.mark.functional


@pytest.fixture
def haproxy() -> Iterator[RunningHAProxy]:
    with running_haproxy() as running:
        yield running


@pytest.fixture
def backends() -> Iterator[Backends]:
    with running_backends() as running:
        yield running


def listener(backends: Backends, **changed: object) -> Listener:
    wanted = {"stack": "shop", "service": "web", "port": free_port(), "target": backends.port, "protocol": "http"}
    return Listener.model_validate(wanted | changed)


def serve(haproxy: RunningHAProxy, name: str, address: str) -> None:
    haproxy.block.add_server("shop", "web", name, address)
    haproxy.block.wait_server_up("shop", "web", name, 10)


def start(haproxy: RunningHAProxy, backends: Backends, *numbers: int) -> None:
    for number in numbers:
        serve(haproxy, f"web-{number}", backends.start_http(f"web-{number}", f"127.0.0.{number}"))


def get(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return str(answer.read().decode())


def answers(port: int, count: int = 8) -> set[str]:
    return {get(port) for _ in range(count)}


def test_servers_are_swapped_under_load_without_a_failed_request_and_without_a_reload(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2, 3)
    reloads, worker = haproxy.reloads, haproxy.worker_pid()
    with load(wanted.port, seconds=6) as result:
        for old, new in ((2, 4), (3, 5), (4, 6), (5, 7)):
            start(haproxy, backends, new)
            assert haproxy.block.drain_server("shop", "web", f"web-{old}", 5) == 0
            haproxy.block.remove_server("shop", "web", f"web-{old}")
            backends.stop(f"web-{old}")
    assert result.requests > 1000, result.report
    assert result.failed == 0, result.report
    assert (haproxy.reloads, haproxy.worker_pid()) == (reloads, worker)
    assert answers(wanted.port) == {"web-6", "web-7"}


def test_a_request_under_way_is_answered_before_its_server_is_drained(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    serve(haproxy, "web-1", backends.start_slow_http("web-1", "127.0.0.2"))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(get, wanted.port)
        while not haproxy.block.servers("shop")[0].sessions:
            time.sleep(0.01)
        assert haproxy.block.drain_server("shop", "web", "web-1", 5) == 0
        haproxy.block.remove_server("shop", "web", "web-1")
        backends.stop("web-1")
        assert answer.result(5) == "slow"


def test_a_reload_costs_no_request_on_kept_alive_connections(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2, 3)
    with load(wanted.port, seconds=5) as result:
        for number in range(3):
            haproxy.block.configure("other", [listener(backends, stack="other", service=f"s{number}")])
    assert result.requests > 1000, result.report
    assert result.failed == 0, result.report


def test_a_server_that_dies_under_load_costs_no_answered_connection(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2, 3)
    backends.stop("web-3")
    began = time.monotonic()
    assert {get(wanted.port) for _ in range(20)} == {"web-2"}, "refused connections go to the other server at once"
    assert time.monotonic() - began < 2


def test_a_server_behind_reloaded_listeners_keeps_serving(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2)
    second = listener(backends)
    haproxy.block.configure("shop", [wanted, second])
    assert answers(wanted.port) == answers(second.port) == {"web-2"}
    haproxy.block.drain_server("shop", "web", "web-2", 5)
    assert haproxy.block.remove_server("shop", "web", "web-2") is True, "servers from the file are deleted as well"
    assert haproxy.block.servers("shop") == ()


def test_a_tcp_connection_outlives_a_reload(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends, protocol="tcp")
    haproxy.block.configure("shop", [wanted])
    serve(haproxy, "db-1", backends.start_tcp("db-1", "127.0.0.2"))
    with socket.create_connection(("127.0.0.1", wanted.port), timeout=5) as connection:
        assert connection.recv(5) == b"hello"
        haproxy.block.configure("other", [listener(backends, stack="other")])
        connection.sendall(b"still there")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)  # it stays open, and silent


def test_when_every_server_is_unhealthy_all_get_traffic(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2, 3)
    haproxy.block.mark_health("shop", "web", "web-2", healthy=False)
    assert answers(wanted.port) == {"web-3"}
    haproxy.block.mark_health("shop", "web", "web-3", healthy=False)
    assert answers(wanted.port) == {"web-2", "web-3"}
    haproxy.block.mark_health("shop", "web", "web-2", healthy=True)
    assert answers(wanted.port) == {"web-2"}


def test_unhealthy_and_joining_servers_stay_so_over_a_restart(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2, 3)
    haproxy.block.mark_health("shop", "web", "web-3", healthy=False)
    haproxy.block.add_server("shop", "web", "web-4", backends.start_http("web-4", "127.0.0.4"))
    haproxy.kill()
    haproxy.start()
    assert answers(wanted.port) == {"web-2"}
    assert haproxy.block.wait_server_up("shop", "web", "web-4", 10) is True
    assert answers(wanted.port) == {"web-2", "web-4"}


def test_http_mode_tells_the_server_who_asked(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    with socket.create_server(("127.0.0.2", backends.port)) as server:
        serve(haproxy, "web-1", "127.0.0.2")
        client = http.client.HTTPConnection("127.0.0.1", wanted.port, timeout=5)
        client.request("GET", "/")
        server.settimeout(5)
        request = b""
        while b"GET /" not in request:  # checks connect as well, and say nothing
            connection, _ = server.accept()
            with connection:
                request = connection.recv(2000)
        client.close()
    assert b"x-forwarded-for: 127.0.0.1" in request.lower()


def test_a_refused_configuration_leaves_the_old_one_serving(
    haproxy: RunningHAProxy, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2)
    before, reloads = (haproxy.places.host / "haproxy.cfg").read_text(), haproxy.reloads
    monkeypatch.setattr("stampede.balancer.render._BALANCING", {"http": "  balance sideways\n"})
    with pytest.raises(DaemonError, match=r"haproxy.cfg.candidate:\d+\] : balance only supports"):
        haproxy.block.configure("shop", [wanted, listener(backends)])
    assert (haproxy.places.host / "haproxy.cfg").read_text() == before
    assert haproxy.reloads == reloads
    assert answers(wanted.port) == {"web-2"}


def test_listeners_haproxy_cannot_start_with_are_taken_back(
    haproxy: RunningHAProxy, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2)
    before = (haproxy.places.host / "haproxy.cfg").read_text()
    monkeypatch.setattr("stampede.blocks.haproxy.haproxy.refuse_absent", list)  # as if the address went just now
    with pytest.raises(DaemonError, match="could not start with the new listeners"):
        haproxy.block.configure("shop", [wanted, listener(backends, host_ip="203.0.113.7")])
    assert answers(wanted.port) == {"web-2"}
    assert (haproxy.places.host / "haproxy.cfg").read_text() == before
    assert haproxy.block.configure("shop", [wanted]) is False
    assert haproxy.block.configure("shop", [wanted, listener(backends)]) is True


def test_an_address_the_host_does_not_have_is_refused_before_anything_changes(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    with pytest.raises(BadInput, match=r"203\.0\.113\.7"):
        haproxy.block.configure("shop", [listener(backends, host_ip="203.0.113.7")])
    assert haproxy.block.desired("shop").listeners == ()


def test_a_port_that_another_haproxy_shares_in_silence_is_found_taken(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    backends.start_http("foreign", "127.0.0.1")
    while True:
        try:
            socket.create_connection(("127.0.0.1", backends.port), timeout=1).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    with pytest.raises(PortTaken, match=r"in use by haproxy \(pid \d+\)"):
        haproxy.block.configure("shop", [listener(backends, port=backends.port)])


def test_a_listener_is_bound_only_where_it_shall_be(haproxy: RunningHAProxy, backends: Backends) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.77", port)):
        haproxy.block.configure("shop", [listener(backends, host_ip="127.0.0.66", port=port)])
        socket.create_connection(("127.0.0.66", port), timeout=5).close()
        with pytest.raises(PortTaken, match="python"):
            haproxy.block.configure("other", [listener(backends, stack="other", port=port, host_ip="127.0.0.77")])


def test_ipv6_addresses_are_published_too(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends, host_ip="::1")
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2)
    with urllib.request.urlopen(f"http://[::1]:{wanted.port}/", timeout=5) as answer:
        assert answer.read() == b"web-2"


def test_when_a_worker_is_killed_a_restart_from_files_serves_the_same(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2, 3)
    subprocess.run(["kill", "-9", str(haproxy.worker_pid())], check=True)
    assert haproxy.process is not None
    assert haproxy.process.wait(10) != 0, "the master ends with its worker, so that a supervisor notices"
    with pytest.raises(DaemonUnavailable):
        haproxy.block.servers("shop")
    haproxy.start()
    assert answers(wanted.port) == {"web-2", "web-3"}


def test_the_supervisor_is_told_to_run_haproxy(backends: Backends) -> None:
    with running_haproxy(started=False) as haproxy:
        with pytest.raises(DaemonUnavailable, match="its log"):
            haproxy.block.ensure_running(0.1)
        service = json.loads((haproxy.places.host / "services/haproxy.json").read_text())
        assert service["argv"] == service_argv(haproxy.places)
        assert service["traffic"] is True
        haproxy.start()
        assert haproxy.block.ensure_running() is False
        assert haproxy.block.configure("shop", [listener(backends)]) is True


def test_a_server_taken_out_while_haproxy_was_dead_does_not_come_back(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2, 3)
    haproxy.kill()
    with pytest.raises(DaemonUnavailable):
        haproxy.block.drain_server("shop", "web", "web-2", 1)
    haproxy.start()
    assert answers(wanted.port) == {"web-3"}
    assert haproxy.block.remove_server("shop", "web", "web-2") is True, "the files still knew it was leaving"
    assert haproxy.block.remove_server("shop", "web", "web-2") is False


def test_a_server_that_haproxy_lost_is_reported_missing_and_put_back(
    haproxy: RunningHAProxy, backends: Backends
) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    start(haproxy, backends, 2)
    for backend in (wanted.name, f"open:{wanted.name}"):
        haproxy.ask(f"set server {backend}/web-2 state maint")
        haproxy.ask(f"del server {backend}/web-2")
    assert [server.state for server in haproxy.block.servers("shop")] == ["missing"]
    assert haproxy.block.add_server("shop", "web", "web-2", "127.0.0.2") is True
    assert answers(wanted.port) == {"web-2"}


def test_taken_ports_name_who_has_them_and_leave_out_our_own(haproxy: RunningHAProxy, backends: Backends) -> None:
    wanted = listener(backends)
    haproxy.block.configure("shop", [wanted])
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        taken: dict[tuple[str, int], TakenPort] = {(t.protocol, t.port): t for t in haproxy.block.taken("shop")}
        for protocol, theirs in (("tcp", tcp), ("udp", udp)):
            found = taken[protocol, theirs.getsockname()[1]]
            assert found.address == "127.0.0.1"
            assert found.holder.endswith(f"(pid {os.getpid()})")
    assert ("tcp", wanted.port) not in taken
