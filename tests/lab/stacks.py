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

from stampede.planning.identity import REVISION, SERVICE, SLOT, STACK
from tests.lab.images import BUSYBOX
from tests.lab.installation import Ended, Installation, until

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

    def do(self, verb: str, *words: str, code: int = 0) -> Ended:
        """A verb on this stack, with --json, that ends with `code`."""
        return self.installation.run(verb, *words, "--json", cwd=self.folder, code=code)

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

    def run_under_way(self) -> str:
        """The flow run that holds the stack's lock, once there is one."""
        until(lambda: self.installation.lock_of(self.name), f"a change of {self.name} is under way")
        lock = self.installation.lock_of(self.name)
        assert lock is not None, "the change ended at once"
        return str(lock["run"])

    def until_revision_runs(self, revision: int, service: str = "web") -> None:
        """Returns once a container of this revision has been started."""
        mark = str(revision)
        until(
            lambda: any(c.labels[REVISION] == mark for c in self.containers(service, everything=False)),
            f"a container of revision {revision} runs",
        )

    def revisions(self, service: str = "web") -> list[int]:
        """Of each container that runs, by slot."""
        return [int(c.labels[REVISION]) for c in self.containers(service, everything=False)]

    def ps(self) -> list[dict[str, Any]]:
        return list(self.do("ps").json)


def web(version: str = "one", port: int | str | None = None, *, delay_s: int = 0, **more: Any) -> Definition:
    """A service that serves its version over HTTP, healthy after `delay_s`. `port` is where it is published.

    Keys of `more` are added; `deploy` is merged.
    """
    deploy = {"update_config": {"monitor": "1s"}} | more.pop("deploy", {})
    published = {"ports": [{"target": 80, "published": str(port), "app_protocol": "http"}]} if port else {}
    return {
        "image": BUSYBOX,
        "init": True,
        "command": ["sh", "-c", f"echo $$VERSION >/www/index.html; sleep {delay_s}; exec httpd -f -p 80 -h /www"],
        "environment": {"VERSION": version},
        "stop_grace_period": "1s",
        "healthcheck": {
            "test": ["CMD", "wget", "-qO", "/dev/null", "http://127.0.0.1/"],
            "interval": "1s",
            "start_period": "60s",
        },
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


def inside(container: Container, *words: str) -> str:
    """What a command says that is run in a container, and ends well there."""
    code, output = container.exec_run(list(words))
    assert isinstance(output, bytes)
    assert code == 0, output
    return output.decode().strip()
