"""An image registry of a test's own on loopback, which asks for a password: Debian's docker-registry."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import docker
import httpx

from stampede.programs import run
from tests.lab.debian import unpacked
from tests.lab.images import BUSYBOX
from tests.lab.installation import until

USER, PASSWORD = "puller", "sesame opens"
_BCRYPT = "print crypt(<STDIN>, '$2b$05$' . 'a' x 22)"


@dataclass
class LabRegistry:
    """`folder` holds everything of it."""

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def name(self) -> str:
        """As in image references."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Afterwards it answers."""
        program = unpacked("docker-registry") / "usr/bin/docker-registry"
        (self.folder / "users").write_text(f"{USER}:{run(['perl', '-e', _BCRYPT], stdin=PASSWORD).out}\n")
        (self.folder / "config.yml").write_text(
            f"{{version: '0.1', http: {{addr: '{self.name}'}},"
            f" storage: {{filesystem: {{rootdirectory: '{self.folder}/data'}}}},"
            f" auth: {{htpasswd: {{realm: lab, path: '{self.folder}/users'}}}}}}"
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, "serve", self.folder / "config.yml"], stdout=log, stderr=log)
        until(self._answers, "the registry answers", 20)

    def stop(self) -> None:
        """Afterwards nothing listens on its port."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def push(self, client: docker.DockerClient, reference: str, **labels: str) -> None:
        """Afterwards it has a busybox with these labels under this name, and the daemon has none of that name."""
        repository, _, tag = reference.rpartition(":")
        holder = client.api.create_container(BUSYBOX, ["true"])
        try:
            client.api.commit(holder, repository, tag, conf={"Labels": labels})
        finally:
            client.api.remove_container(holder)
        login = {"username": USER, "password": PASSWORD}
        for line in client.api.push(repository, tag, auth_config=login, stream=True, decode=True):
            assert "error" not in line, line
        client.api.remove_image(reference)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            return httpx.get(f"http://{self.name}/v2/").status_code == httpx.codes.UNAUTHORIZED
        except httpx.TransportError:
            return False
