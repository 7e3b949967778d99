"""Ports that Docker publishes itself: `mode: host` and UDP. Balanced ones are the balancer's."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from stampede.errors import PortTaken
from tests.functional.compose.conftest import Project
from tests.lab.installation import until

pytestmark = pytest.mark.functional
Web = Callable[..., Project]
HTTPD = "command: [httpd, -f, -p, '8080', -h, /www]\n"


def test_host_mode(web: Web, free_port: int) -> None:
    project = web(f"{HTTPD}ports: [{{target: 8080, published: '{free_port}', mode: host}}]")
    assert project.host_config()["PortBindings"] == {"8080/tcp": [{"HostIp": "", "HostPort": str(free_port)}]}
    socket.create_connection(("127.0.0.1", free_port), 5).close()


def test_a_chosen_port_is_published_and_read_back(web: Web, free_port: int) -> None:
    project = web(f"{HTTPD}ports: [{{target: 8080, mode: host}}]", host_ports={"8080/tcp": free_port})
    (found,) = project.docker.found("h1", project.name).instances
    assert found.ports == {"8080/tcp": free_port}
    socket.create_connection(("127.0.0.1", free_port), 5).close()


def test_balanced_ports_are_not_published_by_docker(web: Web, free_port: int) -> None:
    project = web(f"ports: ['{free_port}:8080']", start=False)
    assert project.host_config()["PortBindings"] == {}
    assert list(project.inspect()["Config"]["ExposedPorts"]) == ["8080/tcp"]


def test_host_address(web: Web, free_port: int) -> None:
    project = web(f"{HTTPD}ports: [{{target: 8080, published: '{free_port}', host_ip: 127.0.0.1, mode: host}}]")
    assert project.host_config()["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"
    socket.create_connection(("127.0.0.1", free_port), 5).close()


def test_udp_port(web: Web, free_port: int) -> None:
    """Docker holds the port on the host."""
    project = web(f"ports: ['{free_port}:5353/udp']")
    assert project.host_config()["PortBindings"] == {"5353/udp": [{"HostIp": "", "HostPort": str(free_port)}]}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, pytest.raises(OSError, match="in use"):
        taken.bind(("0.0.0.0", free_port))


def test_expose(web: Web) -> None:
    project = web("expose: ['9000-9001', '53/udp']", start=False)
    assert sorted(project.inspect()["Config"]["ExposedPorts"]) == ["53/udp", "9000/tcp", "9001/tcp"]


def test_a_taken_port_is_said_so(web: Web) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener, pytest.raises(PortTaken):
        web(f"ports: [{{target: 8080, published: '{listener.getsockname()[1]}', mode: host}}]")


def test_packets_to_a_published_udp_port_are_answered(web: Web, free_port: int) -> None:
    """By this machine's socat, because busybox has no such server."""
    libraries = "volumes: ['/usr:/usr:ro', '/usr/lib:/lib:ro', '/usr/lib64:/lib64:ro']\n"
    web(f"{libraries}command: [/usr/bin/socat, 'UDP-RECVFROM:5353,fork', PIPE]\nports: ['{free_port}:5353/udp']")
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", free_port))
        asking.settimeout(0.5)
        until(lambda: _answer(asking, b"one") == b"one", "the container answers", 10)
        until(lambda: _answer(asking, b"two") == b"two", "and answers again", 10)


def _answer(asking: socket.socket, packet: bytes) -> bytes:
    """What comes back; nothing while nobody listens yet."""
    try:
        asking.send(packet)
        return asking.recv(100)
    except OSError:
        return b""
