"""The stack files that all contenders are given. They are written as JSON, which is YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.lab.images import BUSYBOX


@dataclass(frozen=True)
class Sleepers:
    """Services whose containers sleep and end at once when asked to. `services` maps names to numbers of replicas.

    `changed` gives single services another environment, so that their containers have to be replaced.
    """

    name: str
    services: Mapping[str, int]
    changed: Mapping[str, str] | None = None

    @classmethod
    def replicas(cls, name: str, number: int) -> Sleepers:
        return cls(name, {"sleeper": number})

    @classmethod
    def of_one_each(cls, name: str, number: int) -> Sleepers:
        return cls(name, {f"s{position:02}": 1 for position in range(1, number + 1)})

    def scaled(self, number: int) -> Sleepers:
        return replace(self, services=dict.fromkeys(self.services, number))

    @property
    def size(self) -> int:
        return sum(self.services.values())

    @property
    def document(self) -> dict[str, Any]:
        return {"services": {name: self._service(name, number) for name, number in self.services.items()}}

    def write(self, folder: Path) -> Path:
        """The stack file, in a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.yaml"
        path.write_text(json.dumps(self.document, indent=1))
        return path

    def _service(self, name: str, number: int) -> dict[str, Any]:
        # `init` forwards SIGTERM to a sleep that would not hear it as process 1. One second is the shortest that
        # Docker's own update monitor and ours can both be told.
        return {
            "image": BUSYBOX,
            "command": ["sleep", "86400"],
            "init": True,
            "stop_grace_period": "1s",
            "environment": {"CHANGED": (self.changed or {}).get(name, "no")},
            "deploy": {"replicas": number, "update_config": {"monitor": "1s", "order": "start-first"}},
        }
