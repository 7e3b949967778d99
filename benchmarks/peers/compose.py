"""docker-compose v5 from its wheel, on the same daemon as Stampede."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.processes import run
from benchmarks.stacks import Sleepers

NAME = "docker-compose"
PROGRAM = Path(sys.executable).parent / "docker-compose"


class Compose:
    """`up -d` returns once the containers have been started, and looks at them no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def up(self, stack: Sleepers) -> None:
        self._run(stack, "up", "--detach")

    def scale(self, stack: Sleepers, replicas: int) -> None:
        self._run(stack, "up", "--detach", *(f"--scale={service}={replicas}" for service in stack.services))

    def down(self, stack: Sleepers) -> None:
        self._run(stack, "down", "--timeout", "1", "--volumes")

    def _run(self, stack: Sleepers, *words: str) -> None:
        run([PROGRAM, "--project-name", stack.name, "--file", stack.write(self._folder), *words])
