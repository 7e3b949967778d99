"""The promises of blocks/docker/contract.py, held against a newer dockerd than this machine's: Debian trixie's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from stampede.programs import run
from tests.lab.debian_host import CHECKOUT, DebianHost, host_with_newer_docker

pytestmark = [pytest.mark.functional, pytest.mark.debian, pytest.mark.timeout(900)]
SUITES = ("tests/contract/test_docker_host.py", "tests/contract/test_docker_projects.py")


@pytest.fixture
def host() -> Iterator[DebianHost]:
    with host_with_newer_docker() as own:
        yield own


def test_a_newer_docker_keeps_the_same_promises(host: DebianHost) -> None:
    with host.docker() as client:
        version = client.version()["Version"]
    assert int(version.partition(".")[0]) > 20, version
    # The suites take their daemon from the environment, as everything that asks Docker does.
    environment = os.environ | {"DOCKER_HOST": f"unix:///proc/{host.pid}/root/run/docker.sock", "CI": "true"}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "real", *SUITES]
    done = run(words, env=environment, cwd=CHECKOUT, timeout_s=600, check=False)
    assert done.code == 0, f"with Docker {version}:\n{done.out}\n{done.err}"
