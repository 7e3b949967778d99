"""How a container's output is kept: rotated, unless the file says otherwise."""

from __future__ import annotations

from typing import Any

from stampede.stackfile.models import Logging

_ROTATING_DRIVERS = ("json-file", "local")
_ROTATION = {"max-size": "10m", "max-file": "3"}


def log_config(logging: Logging, daemon_driver: str) -> dict[str, Any]:
    """HostConfig.LogConfig. 3 files of 10 MB for the drivers that write files; others keep the daemon's settings."""
    driver = logging.driver or daemon_driver
    if driver not in _ROTATING_DRIVERS:
        return {"Type": driver, "Config": dict(logging.options)}
    rotation = {} if "max-size" in logging.options else _ROTATION
    return {"Type": driver, "Config": {**rotation, **logging.options}}
