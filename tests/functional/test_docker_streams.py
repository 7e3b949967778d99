"""Logs and commands inside containers, as the command line shows them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import docker as sdk
import pytest

from stampede.blocks.docker import DockerHost
from tests.lab.images import ensure_busybox
from tests.lab.instances import Workbench

pytestmark = pytest.mark.functional


@pytest.fixture
def bench(stack_name: str, docker_client: sdk.DockerClient) -> Iterator[Workbench]:
    ensure_busybox(docker_client)
    host = DockerHost()
    yield Workbench(host, cluster=stack_name, stack=stack_name)
    for container in docker_client.containers.list(all=True, filters={"label": f"stampede.stack={stack_name}"}):
        container.remove(force=True)
    for tag in {tag for image in docker_client.images.list() for tag in image.tags if f"/{stack_name}/" in tag}:
        docker_client.images.remove(tag)
    host.close()


@pytest.fixture
def host(bench: Workbench) -> DockerHost:
    assert isinstance(bench.docker, DockerHost)
    return bench.docker


def test_logs_are_followed_until_the_end(bench: Workbench, host: DockerHost) -> None:
    container = bench.run(
        bench.wanted(command=("sh", "-c", "echo one; sleep 0.5; echo two >&2; sleep 0.5; echo three"))
    )
    assert b"".join(host.containers.logs(container, follow=True)) == b"one\ntwo\nthree\n"
    assert b"".join(host.containers.logs(container, tail=1)) == b"three\n"
    (stamped,) = b"".join(host.containers.logs(container, tail=1, timestamps=True)).decode().splitlines()
    assert stamped.startswith("20")
    assert stamped.endswith(" three")


def test_a_follower_may_leave_early(bench: Workbench, host: DockerHost) -> None:
    container = bench.run(bench.wanted(command=("sh", "-c", "echo one; sleep 600")))
    lines = host.containers.logs(container, follow=True)
    assert next(lines) == b"one\n"
    begun = time.monotonic()
    lines.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 2


def test_a_command_gets_input_and_gives_both_outputs(bench: Workbench, host: DockerHost) -> None:
    container = bench.run(bench.wanted())
    session = host.containers.exec(container, ["sh", "-c", "cat; echo bad >&2; exit 6"], stdin=True, env={"A": "1"})
    session.write(b"good\n")
    session.end_input()
    said = list(session.output())
    assert b"".join(piece for stream, piece in said if stream == 1) == b"good\n"
    assert b"".join(piece for stream, piece in said if stream == 2) == b"bad\n"
    assert session.wait_exit_code() == 6
    session.close()


def test_a_command_has_a_terminal_of_the_size_asked_for(bench: Workbench, host: DockerHost) -> None:
    container = bench.run(bench.wanted())
    session = host.containers.exec(container, ["sh", "-c", "read go; tty; stty size"], tty=True, stdin=True, user="www")
    session.resize(rows=33, columns=99)
    session.write(b"\n")
    said = b"".join(piece for _, piece in session.output())
    assert b"/dev/pts/" in said
    assert b"33 99" in said
    assert session.wait_exit_code() == 0
    session.close()


def test_a_probe_that_hangs_ends_at_its_timeout(bench: Workbench, host: DockerHost) -> None:
    container = bench.run(bench.wanted())
    begun = time.monotonic()
    assert host.containers.exec_probe(container, ["sleep", "30"], 0.5)[0] == 124
    assert time.monotonic() - begun < 3
