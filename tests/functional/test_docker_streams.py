"""The end of a log, and probes inside containers."""

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


def test_the_end_of_a_log_has_both_outputs_in_order(bench: Workbench, host: DockerHost) -> None:
    container = bench.run(
        bench.wanted(command=("sh", "-c", "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three"))
    )
    assert host.containers.wait_exit(container, 20) == 0
    assert host.containers.logs(container, 9) == b"one\ntwo\nthree\n"
    assert host.containers.logs(container, 2) == b"two\nthree\n"


def test_a_probe_that_hangs_ends_at_its_timeout(bench: Workbench, host: DockerHost) -> None:
    container = bench.run(bench.wanted())
    begun = time.monotonic()
    assert host.containers.exec_probe(container, ["sleep", "30"], 0.5)[0] == 124
    assert time.monotonic() - begun < 3
