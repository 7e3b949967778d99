"""Stampede, as its user meets it: the command, from its start to its end."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.installation import Installation
from benchmarks.stacks import Sleepers

NAME = "stampede"


class Stampede:
    """`up`, `scale` and `down` of one control plane."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self._installation, self._folder = installation, folder

    def up(self, stack: Sleepers) -> None:
        """Afterwards all its containers run and have been seen healthy."""
        self.up_file(stack.name, stack.write(self._folder))

    def up_file(self, name: str, path: Path) -> None:
        self._installation.stampede("up", "--json", "-p", name, "-f", str(path))

    def scale(self, stack: Sleepers, replicas: int) -> None:
        wanted = [f"{service}={replicas}" for service in stack.services]
        self._installation.stampede("scale", "--json", "-p", stack.name, *wanted)

    def down(self, name: str) -> None:
        self._installation.stampede("down", "--json", "--yes", "--volumes", "-p", name)

    def instances(self, name: str) -> int:
        return len(json.loads(self._installation.stampede("ps", "--json", "-p", name)))
