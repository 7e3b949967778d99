"""A Docker daemon of a test's own, which may be killed: its own data, socket and containerd, and no firewall rules.

It shares the network namespace with the daemon of the machine, so it must not touch iptables: a dockerd that starts
empties Docker's chains. And it has a default bridge of its own: one that is told to have none deletes docker0. The
host reaches its containers, and nothing else does; no port is published.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import docker

from stampede.programs import run
from tests.lab.installation import until


@dataclass
class LabDockerd:
    """`root` holds everything of it."""

    root: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.root}/docker.sock"

    @cached_property
    def client(self) -> docker.DockerClient:
        """Of the daemon, which has to run when this is read first. Closed by `remove`."""
        return docker.DockerClient(base_url=self.url, timeout=60)

    @property
    def bridge(self) -> str:
        return f"st-{self.root.name[-8:]}"

    def start(self) -> None:
        """Afterwards it answers."""
        if run(["ip", "link", "show", self.bridge], check=False).code:
            run(["ip", "link", "add", self.bridge, "type", "bridge"])
            run(["ip", "address", "add", f"198.18.{zlib.crc32(self.bridge.encode()) % 256}.1/24", "dev", self.bridge])
            run(["ip", "link", "set", self.bridge, "up"])
        argv = ["dockerd", "-H", self.url, "--data-root", f"{self.root}/data", "--exec-root", f"{self.root}/exec"]
        argv += ["--pidfile", f"{self.root}/pid", "--config-file", f"{self.root}/none.json", "--bridge", self.bridge]
        argv += ["--iptables=false", "--ip-masq=false", "--ip-forward=false", "--userland-proxy=false"]
        self.root.joinpath("none.json").write_text("{}")
        with self.root.joinpath("log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        until(self.answers, "dockerd answers", 60)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.root.joinpath("log").read_text()[-2000:]
        with socket.socket(socket.AF_UNIX) as asking:  # the SDK leaves a socket open when nobody answers
            try:
                asking.connect(self.url.removeprefix("unix://"))
                asking.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                return b"200 OK" in asking.recv(4096)
            except OSError:
                return False

    def stop(self) -> None:
        """Afterwards it does not run, and neither do its containers, as at a restart of the service."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    def remove(self) -> None:
        """Afterwards nothing of it runs or is mounted."""
        if self.process is not None and self.process.poll() is None:
            for container in self.client.containers.list(all=True, ignore_removed=True):
                container.remove(force=True, v=True)
            for network in self.client.networks.list(filters={"type": "custom"}):
                network.remove()
        self.client.close()
        self.stop()
        for pid in self._left():
            os.kill(pid, signal.SIGKILL)
        run(["ip", "link", "delete", self.bridge], check=False)

    def _left(self) -> list[int]:
        """Processes that name our directory: containerd and its shims, should they have outlived dockerd."""
        word = str(self.root).encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if word in path.read_bytes() and int(path.parent.name) != os.getpid():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found
