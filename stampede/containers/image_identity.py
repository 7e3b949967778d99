"""What is in an image, said so that every daemon and image store says the same. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_RUNTIME_KEYS = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)


def image_identity(inspected: dict[str, Any]) -> str:
    """`sha256:…` over the digests of the uncompressed layers, the runtime configuration, system and architecture.

    The id that a daemon gives is that of the configuration under a graph driver and that of the manifest in the
    containerd store; a digest of the registry is missing for what was built or loaded. Layer digests and the
    configuration are the same everywhere. Empty settings count as left out: stores differ in how they write them.
    """
    config = inspected.get("Config") or {}
    content = {
        "layers": (inspected.get("RootFS") or {}).get("Layers") or [],
        "config": {key: config[key] for key in _RUNTIME_KEYS if config.get(key)},
        "os": inspected.get("Os", ""),
        "architecture": inspected.get("Architecture", ""),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
