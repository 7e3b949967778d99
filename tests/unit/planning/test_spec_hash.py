"""What replaces an instance, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from stampede.planning.expansion import expand
from stampede.planning.instances import Image
from tests.unit.planning.worlds import revision_of

BASE: dict[str, Any] = {
    "image": "app:1",
    "environment": {"A": "1", "B": "2"},
    "ports": [{"target": 80, "published": "8080", "mode": "ingress", "protocol": "tcp"}],
    "configs": [{"source": "settings", "target": "/etc/settings"}],
    "deploy": {"replicas": 1},
}


def hash_of(service: dict[str, Any], *, content: str = "x", identity: str = "sha256:1", salt: str = "salt") -> str:
    revision = revision_of({"web": service}, configs={"settings": {"name": "settings", "content": content}})
    revision = revision.model_copy(
        update={"images": {"web": Image(reference="app:1", identity=identity)}, "salt": salt}
    )
    (instance,) = expand(revision, {("web", 1): "h1"})
    return instance.spec_hash


@pytest.mark.parametrize(
    "change",
    [
        {"environment": {"B": "2", "A": "1"}},
        dict(reversed(BASE.items())),
        {"restart": None, "cap_add": [], "tty": False, "logging": {"options": {}}},
        {"deploy": {"replicas": 5}},
        {"scale": 7},
        {"deploy": {"update_config": {"parallelism": 3, "order": "stop-first", "delay": "1s"}}},
        {"depends_on": {"db": {"condition": "service_started", "required": False}}},
        {"ports": [{"target": 81, "published": "9090", "mode": "ingress", "protocol": "tcp"}]},
        {"ports": []},
        {"pull_policy": "always"},
        {"image": "registry.example/app:same-content"},
        {"build": {"context": "/srv"}},
        {"expose": ["80"]},
    ],
    ids=lambda change: "+".join(change),
)
def test_what_does_not_make_the_instance_does_not_replace_it(change: dict[str, Any]) -> None:
    assert hash_of({**BASE, **change}) == hash_of(BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"environment": {"A": "1", "B": "3"}},
        {"environment": {"A": "1", "B": None}},
        {"command": ["other"]},
        {"command": []},
        {"ports": [{"target": 80, "published": "8080", "mode": "host", "protocol": "tcp"}]},
        {"ports": [{"target": 80, "published": "8080", "mode": "ingress", "protocol": "udp"}]},
        {"configs": [{"source": "settings", "target": "/etc/other"}]},
        {"configs": [{"source": "settings", "target": "/etc/settings", "mode": 0o400}]},
        {"configs": [{"source": "settings", "target": "/etc/settings", "uid": "7"}]},
        {"deploy": {"resources": {"limits": {"memory": 1000}}}},
        {"deploy": {"restart_policy": {"condition": "none"}}},
        {"networks": {"default": {"aliases": ["other"]}}},
        {"volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
        {"labels": {"a": "b"}},
        {"healthcheck": {"test": ["CMD", "true"]}},
    ],
    ids=lambda change: "+".join(change),
)
def test_what_makes_the_instance_replaces_it(change: dict[str, Any]) -> None:
    assert hash_of({**BASE, **change}) != hash_of(BASE)


def test_the_content_of_a_file_and_of_an_image_replace_it() -> None:
    assert hash_of(BASE, content="y") != hash_of(BASE)
    assert hash_of(BASE, identity="sha256:2") != hash_of(BASE)


def test_without_the_salt_of_the_stack_nobody_can_check_a_guess() -> None:
    assert hash_of(BASE, salt="other") != hash_of(BASE)


def test_a_service_follows_the_one_whose_namespace_it_shares() -> None:
    def hashes(version: str) -> dict[str, str]:
        services: dict[str, dict[str, Any]] = {
            "pod": {"environment": {"V": version}},
            "app": {"network_mode": "service:pod"},
            "log": {"pid": "service:app"},
            "web": {},
        }
        instances = expand(revision_of(services), {(name, 1): "h1" for name in services})
        return {instance.service: instance.spec_hash for instance in instances}

    before, after = hashes("1"), hashes("2")
    assert {name for name in before if before[name] != after[name]} == {"pod", "app", "log"}
