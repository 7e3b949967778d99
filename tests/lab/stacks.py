"""A stack of a test's own: its folder with a stack file, the verbs on it, and what Docker has of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
from docker.models.containers import Container

from stampede.planning.identity import SERVICE, SLOT, STACK
from tests.lab.images import BUSYBOX
from tests.lab.installation import Ended, Installation

Definition = dict[str, Any]


@dataclass
class LabStack:
    """`name` is the stack's name, `folder` holds its compose.yaml."""

    name: str
    folder: Path
    installation: Installation
    docker: docker.DockerClient

    def write(self, services: Mapping[str, Definition], **rest: Any) -> None:
        """Afterwards the stack file says this."""
        self.folder.mkdir(exist_ok=True)
        document = {"name": self.name, "services": services, **rest}
        (self.folder / "compose.yaml").write_text(json.dumps(document, indent=1))

    def up(self, services: Mapping[str, Definition] | None = None, /, *words: str, **rest: Any) -> dict[str, Any]:
        """What `up` says at its end; with services, the stack file is written before."""
        if services is not None:
            self.write(services, **rest)
        return dict(self.do("up", *words).json)

    def do(self, verb: str, *words: str, code: int = 0, **variables: str) -> Ended:
        """A verb on this stack, with --json."""
        return self.installation.run(verb, *words, "--json", cwd=self.folder, code=code, **variables)

    def begin(self, verb: str, *words: str) -> subprocess.Popen[str]:
        """The same, while the test goes on."""
        return self.installation.begin(verb, *words, "--json", cwd=self.folder)

    def end(self, process: subprocess.Popen[str], *, code: int = 0) -> Ended:
        return self.installation.end(process, code=code)

    def containers(self, service: str | None = None, *, everything: bool = True) -> list[Container]:
        """The containers of the stack, by service and slot; of those that stopped only with `everything`."""
        labels = [f"{STACK}={self.name}", *([f"{SERVICE}={service}"] if service else [])]
        found = self.docker.containers.list(all=everything, filters={"label": labels}, ignore_removed=True)
        return sorted(found, key=lambda c: (c.labels[SERVICE], int(c.labels[SLOT]), str(c.name)))

    def ids(self, service: str | None = None) -> list[str]:
        return [str(container.id) for container in self.containers(service)]

    def names(self, service: str | None = None) -> list[str]:
        """Services and slots that have a container, one entry for each container."""
        return [f"{c.labels[SERVICE]}-{c.labels[SLOT]}" for c in self.containers(service)]

    def ps(self) -> list[dict[str, Any]]:
        return list(self.do("ps").json)


def web(version: str = "one", port: int | str | None = None, **more: Any) -> Definition:
    """A service that serves its version over HTTP, is soon healthy and ends at once. `port` is where it is published.

    Keys of `more` are added; `deploy` is merged.
    """
    deploy = {"update_config": {"monitor": "1s"}} | more.pop("deploy", {})
    published = {"ports": [{"target": 80, "published": str(port), "app_protocol": "http"}]} if port else {}
    return {
        "image": BUSYBOX,
        "init": True,
        "command": ["sh", "-c", "echo $$VERSION >/www/index.html; exec httpd -f -p 80 -h /www"],
        "environment": {"VERSION": version},
        "stop_grace_period": "1s",
        "healthcheck": {"test": ["CMD", "wget", "-qO", "/dev/null", "http://127.0.0.1/"], "interval": "1s"},
        "deploy": deploy,
        **published,
        **more,
    }


def sleeper(**more: Any) -> Definition:
    """A service that does nothing, and ends at once when asked to."""
    return {
        "image": BUSYBOX,
        "init": True,
        "command": ["sleep", "3600"],
        "stop_grace_period": "1s",
        "deploy": {"update_config": {"monitor": "0s"}},
        **more,
    }


def page(port: int, host: str = "127.0.0.1") -> str:
    """What the published port answers."""
    return httpx.get(f"http://{host}:{port}/", timeout=20).raise_for_status().text.strip()
