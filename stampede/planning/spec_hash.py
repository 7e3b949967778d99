"""The spec hash: equal hashes mean that an instance need not be replaced.

It covers what makes an instance what it is, not how many there are, when they start, or how they are balanced.
Values left at their defaults do not count, so that a release which learns a new key replaces nothing. The hash is keyed
per stack, because a plain hash of a short environment value can be guessed. It starts with the version of these rules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from stampede.balancer.ports import is_balanced
from stampede.planning.instances import Image, MountedFile
from stampede.stackfile.models import Attachment, Service

VERSION = 1

# What changes how a service is run, but not what one of its instances is.
_NOT_OF_THE_INSTANCE = {
    "build",
    "image",
    "pull_policy",
    "depends_on",
    "scale",
    "ports",
    "expose",
    "networks",
    "configs",
    "secrets",
    "hooks",
}
_OF_DEPLOY = ("resources", "restart_policy")


def keyed_digest(content: str, salt: str, size: int = 8) -> str:
    """Hex digest of `content` that only holders of the stack's salt can check guesses against."""
    return blake2b(content.encode(), key=salt.encode(), digest_size=size).hexdigest()


def spec_hash(
    service: Service,
    image: Image,
    networks: Mapping[str, Attachment],
    volumes: Mapping[str, str],
    files: tuple[MountedFile, ...],
    salt: str,
    shared: Mapping[str, str] | None = None,
) -> str:
    """`1:3fa9c1…`: the version of the rules, and 16 hex digits over everything an instance is made from.

    `shared` are the hashes of the services whose namespaces it shares: it has to be made anew whenever they are.
    """
    spec: dict[str, Any] = service.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_OF_THE_INSTANCE)
    deploy = service.deploy.model_dump(mode="json", exclude_defaults=True, include=set(_OF_DEPLOY))
    published = [p.model_dump(mode="json", exclude_defaults=True) for p in service.ports if not is_balanced(service, p)]
    spec.pop("deploy", None)
    facts = {
        "spec": spec,
        "deploy": deploy,
        "published": published,
        "image": image.identity,
        "networks": {name: at.model_dump(mode="json", exclude_defaults=True) for name, at in networks.items()},
        "volumes": dict(volumes),
        "files": sorted((f.target, f.host_name) for f in files),
        **({"shared": dict(shared)} if shared else {}),
    }
    return f"{VERSION}:{keyed_digest(json.dumps(facts, sort_keys=True, separators=(',', ':')), salt)}"
