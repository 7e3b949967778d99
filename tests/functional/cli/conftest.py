"""The installed command against a control plane of this session's own, and a stack on the real dockerd."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from stampede.places import RUN_VARIABLE, STATE_VARIABLE, Places
from stampede.planning.identity import STACK
from stampede.programs import Finished, run
from tests.conftest import pick_port, remove_labelled
from tests.lab.images import ensure_busybox

ROOT = Path(__file__).parents[3]
COMPOSE = """
name: {stack}
services:
  web:
    image: {image}
    init: true
    command: ["sh", "-c", "while :; do echo tick; sleep 1; done"]
    environment: {{GREETING: "${{GREETING:-hello}}"}}
    deploy: {{replicas: 2}}
"""


@dataclass(frozen=True)
class Shell:
    """Runs `stampede` in a folder with a stack file, on a control plane of its own."""

    folder: Path
    stack: str
    places: Places

    @property
    def environment(self) -> dict[str, str]:
        own = {
            STATE_VARIABLE: str(self.places.state),
            RUN_VARIABLE: str(self.places.run),
            "STAMPEDE_HOST": "cli-host",
            "PYTHONPATH": str(ROOT),
        }
        return {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "STAMPEDE_"))} | own

    def __call__(self, *words: str, check: bool = True, env: Mapping[str, str] | None = None) -> Finished:
        argv = [sys.executable, "-m", "stampede", *words]
        return run(argv, env=self.environment | dict(env or {}), cwd=self.folder, timeout_s=240, check=check)

    def script(self, name: str, *words: str, env: Mapping[str, str]) -> Finished:
        """One of scripts/, however it ends."""
        return run([ROOT / "scripts" / name, *words], env=self.environment | dict(env), timeout_s=240, check=False)

    def json(self, *words: str, env: Mapping[str, str] | None = None) -> Any:
        return json.loads(self(*words, "--json", env=env).out)


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory, docker_client: docker.DockerClient) -> Iterator[Shell]:
    """The control plane is started by the first command, as it is for a user."""
    root = tmp_path_factory.mktemp("cli")
    stack = f"t-cli-{secrets.token_hex(3)}"
    (root / "app").mkdir()
    (root / "app/compose.yaml").write_text(COMPOSE.format(stack=stack, image=ensure_busybox(docker_client)))
    shell = Shell(root / "app", stack, Places(root / "state", root / "run"))
    try:
        shell("server", "start", "--port", str(pick_port()))
        yield shell
    finally:
        shell("server", "stop", "--everything")
        remove_labelled(docker_client, f"{STACK}={stack}")
