"""What Docker says, as our models and errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stampede.blocks.docker.client import registry_error, translated
from stampede.blocks.docker.reading import instance_of_list, is_anonymous, moment
from stampede.containers.image_identity import image_identity
from stampede.containers.image_names import kept_tag
from stampede.errors import DaemonError, DaemonUnavailable, PortTaken, RegistryUnreachable

LABELS = {
    "stampede.stack": "shop",
    "stampede.service": "web",
    "stampede.slot": "2",
    "stampede.revision": "7",
    "stampede.spec-hash": "v1:ab",
    "stampede.ports": '{"53/udp": 40053}',
}


def entry(**said: Any) -> dict[str, Any]:
    return {
        "Id": "1" * 64,
        "Names": ["/shop-db-1-aa/web", "/shop-web-2-ab"],
        "Image": "stampede.local/shop/web:ab",
        "Labels": LABELS,
        "State": "running",
        "Status": "Up 2 seconds",
        "Created": 1700000000,
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
        **said,
    }


@pytest.mark.parametrize(
    ("state", "status", "health", "exit_code"),
    [
        ("running", "Up 5 minutes", "none", None),
        ("running", "Up 2 seconds (health: starting)", "starting", None),
        ("running", "Up 2 hours (healthy)", "healthy", None),
        ("running", "Up 2 hours (unhealthy)", "unhealthy", None),
        ("running", "Up 2 hours (Paused)", "none", None),
        ("exited", "Exited (137) 3 days ago", "none", 137),
        ("restarting", "Restarting (1) 3 seconds ago", "none", 1),
        ("created", "Created", "none", None),
    ],
)
def test_state_health_and_exit_code_are_in_the_list(
    state: str, status: str, health: str, exit_code: int | None
) -> None:
    found = instance_of_list(entry(State=state, Status=status), "h1")
    assert (found.state, found.health, found.exit_code) == (state, health, exit_code)
    assert (found.name, found.slot, found.revision, found.ports) == ("shop-web-2-ab", 2, 7, {"53/udp": 40053})


def test_an_address_that_was_given_counts_while_the_container_is_down() -> None:
    ends = {"shop_default": {"IPAMConfig": {"IPv4Address": "10.42.0.9"}, "IPAddress": ""}, "bridge": {"IPAddress": ""}}
    assert instance_of_list(entry(NetworkSettings={"Networks": ends}), "h1").addresses == {"shop_default": "10.42.0.9"}


def test_anonymous_volumes_are_told_by_their_names() -> None:
    assert is_anonymous("0f" * 32)
    assert not is_anonymous("shop_pgdata")


def test_times_may_have_nine_digits() -> None:
    assert moment("2026-11-22T21:00:01.123456789Z") == datetime(2026, 11, 22, 21, 0, 1, 123456, UTC)
    assert moment("2026-11-22T22:00:01+01:00") == datetime(2026, 11, 22, 21, 0, 1, 0, UTC)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("driver failed programming: Bind for 0.0.0.0:80 failed: port is already allocated", PortTaken),
        ("listen tcp4 0.0.0.0:80: bind: address already in use", PortTaken),
        ("context deadline exceeded", DaemonUnavailable),
        ("write /x: no space left on device", DaemonError),
    ],
)
def test_what_the_daemon_says_becomes_one_of_our_errors(said: str, error: type[DaemonError]) -> None:
    assert type(translated("start web", said)) is error


def test_a_full_disk_has_a_hint() -> None:
    assert "disk is full" in translated("build web", "no space left on device").hint
    assert "disk is full" in registry_error("web:1", "no space left on device").hint


def test_a_registry_that_is_away_is_worth_a_retry_and_one_that_refuses_is_not() -> None:
    assert type(registry_error("x/web:1", "dial tcp: lookup x: no such host")) is RegistryUnreachable
    refused = registry_error("x/web:1", "unauthorized: authentication required")
    assert type(refused) is DaemonError
    assert "registry login" in refused.hint


def test_an_identity_is_the_same_in_every_image_store() -> None:
    """Docker's containerd store gives another id, other empty settings, and the same layers and configuration."""
    graph = {
        "Id": "sha256:aa",
        "Os": "linux",
        "Architecture": "amd64",
        "RootFS": {"Type": "layers", "Layers": ["sha256:l1", "sha256:l2"]},
        "Config": {"Cmd": ["sh"], "Env": ["A=1"], "Hostname": "", "Volumes": None, "Labels": {}, "OnBuild": None},
        "GraphDriver": {"Name": "overlay2"},
    }
    containerd = {
        "Id": "sha256:bb",
        "Os": "linux",
        "Architecture": "amd64",
        "RootFS": {"Type": "layers", "Layers": ["sha256:l1", "sha256:l2"]},
        "Config": {"Env": ["A=1"], "Cmd": ["sh"]},
    }
    assert image_identity(graph) == image_identity(containerd)
    other = {**containerd, "Config": {"Env": ["A=2"], "Cmd": ["sh"]}}
    assert image_identity(other) != image_identity(graph)


def test_a_kept_tag_is_one_that_docker_takes() -> None:
    assert kept_tag("shop", "Web_2.front", "sha256:" + "ab" * 32) == "stampede.local/shop/web-2-front:abababababababab"
