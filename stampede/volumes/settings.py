"""How the pool of a host is to be, from its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import ValidationError

from stampede.errors import BadInput
from stampede.volumes.models import PoolSettings

DRIVER, SIZE = "STAMPEDE_POOL_DRIVER", "STAMPEDE_POOL_SIZE"
OVERCOMMIT, SNAPSHOT_RESERVE = "STAMPEDE_POOL_OVERCOMMIT", "STAMPEDE_SNAPSHOT_RESERVE"
POOL_VARIABLES = (DRIVER, SIZE, OVERCOMMIT, SNAPSHOT_RESERVE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def pool_settings(environment: Mapping[str, str]) -> PoolSettings:
    """What the variables say; the defaults where they are not set. Raises: BadInput naming the variable."""
    keys = {DRIVER: "driver", SIZE: "size_bytes", OVERCOMMIT: "overcommit", SNAPSHOT_RESERVE: "snapshot_reserve"}
    said: dict[str, object] = {key: environment[name] for name, key in keys.items() if environment.get(name)}
    if text := environment.get(SIZE):
        said["size_bytes"] = parse_size(text)
    try:
        return PoolSettings.model_validate(said)
    except ValidationError as error:
        wrong = str(error.errors()[0]["loc"][0])
        variable = next(name for name, key in keys.items() if key == wrong)
        raise BadInput(f"{variable}={environment[variable]} makes no sense", error.errors()[0]["msg"]) from error


def parse_size(text: str) -> int:
    """Bytes; K, M, G and T are powers of 1024, as in Compose files. Raises: BadInput."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is no size", "write it as 500M, 20G or 1.5T")
    return int(float(found[1]) * 1024 ** _POWERS[found[2].upper()])
