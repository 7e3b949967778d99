"""The web tier and the Redis of examples/shop, as a stack file for Stampede and one for a swarm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REPLICAS = 4
WEB_PORT = 8080
_HEALTHY = "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthy', timeout=2)"
_PING = "REDISCLI_AUTH=$$(cut -d' ' -f2 /run/secrets/redis-auth) redis-cli ping | grep -q PONG"
_FILES = {
    "settings": '{"title": "Stampede\'s shop"}\n',
    "redis": "dir /data\ninclude /run/secrets/redis-auth\n",
    "redis-auth": "requirepass only-an-example\n",
}
IMAGES = ("stampede-examples/web:1", "stampede-examples/web:2", "stampede-examples/redis:7")


def document(folder: Path, version: int) -> dict[str, Any]:
    """What both files say. Files of configs and secrets are written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _FILES.items():
        (folder / name).write_text(content)
    kept = {name: {"file": str(folder / name)} for name in _FILES}
    return {
        "services": {"web": _web(version), "redis": _redis()},
        "configs": {"settings": kept["settings"], "redis": kept["redis"]},
        "secrets": {"redis-auth": kept["redis-auth"]},
    }


def for_stampede(folder: Path, version: int, port: int) -> Path:
    """A stack file in HTTP mode behind the balancer, on `port` of loopback."""
    said = document(folder, version)
    said["services"]["web"]["ports"] = [
        {"target": WEB_PORT, "published": str(port), "host_ip": "127.0.0.1", "app_protocol": "http"}
    ]
    return _write(folder / "shop.yaml", said)


def for_swarm(folder: Path, version: int) -> Path:
    """The same with an overlay network that a balancer can join. `dnsrr`, since not every kernel has IPVS."""
    said = document(folder, version)
    for service in said["services"].values():
        service.setdefault("deploy", {})["endpoint_mode"] = "dnsrr"
    said["networks"] = {"default": {"driver": "overlay", "attachable": True}}
    return _write(folder / "shop-swarm.yaml", {"version": "3.8", **said})


def _write(path: Path, said: dict[str, Any]) -> Path:
    path.write_text(json.dumps(said, indent=1))
    return path


def _web(version: int) -> dict[str, Any]:
    return {
        "image": f"stampede-examples/web:{version}",
        "configs": [{"source": "settings", "target": "/etc/shop.json"}],
        "secrets": ["redis-auth"],
        "healthcheck": {
            "test": ["CMD", "python3", "-c", _HEALTHY],
            "interval": "3s",
            "timeout": "10s",
            "retries": 5,
            "start_period": "60s",
        },
        "stop_grace_period": "12s",
        "deploy": {
            "replicas": REPLICAS,
            "update_config": {"order": "start-first", "parallelism": 1, "delay": "0s", "monitor": "1s"},
        },
    }


def _redis() -> dict[str, Any]:
    return {
        "image": "stampede-examples/redis:7",
        "command": ["redis-server", "/etc/redis/shop.conf"],
        "configs": [{"source": "redis", "target": "/etc/redis/shop.conf"}],
        "secrets": ["redis-auth"],
        "healthcheck": {"test": ["CMD-SHELL", _PING], "interval": "3s", "timeout": "10s", "start_period": "60s"},
    }
