"""A server that listens on its own loopback only, reached with the operator's ssh."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from stampede import programs
from stampede.errors import BadInput, ServerUnreachable

SETTINGS_FILE = "/var/lib/stampede/host/worker.env"
SSH_FAILED = 255
UP_WITHIN_S = 20.0
SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=10")


@dataclass(frozen=True)
class SshTarget:
    """Where to log in. `port` is ssh's."""

    host: str
    user: str = ""
    port: int | None = None

    @classmethod
    def parse(cls, address: str) -> SshTarget:
        """From `ssh://[user@]host[:port]`. Raises: BadInput."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise BadInput(f"{address!r} is no address: {error}", "such as ssh://root@h1:22") from error
        if parts.scheme != "ssh" or not host or host.startswith("-") or (parts.username or "").startswith("-"):
            raise BadInput(f"{address!r} is no address of a host", "such as ssh://root@h1:22")
        return cls(host, parts.username or "", port)

    @property
    def words(self) -> list[str]:
        """The arguments of ssh that name the target."""
        login = ["-l", self.user] if self.user else []
        return [*SSH_OPTIONS, *login, *(["-p", str(self.port)] if self.port else []), self.host]


@contextmanager
def open_tunnel(address: str) -> Iterator[tuple[str, str]]:
    """The API's url and `user:password`, as long as the context is open.

    Raises: BadInput, ServerUnreachable when ssh cannot log in or no server runs there.
    """
    target = SshTarget.parse(address)
    listens_at, auth = _read_settings(target)
    port = _free_port()
    forward = f"127.0.0.1:{port}:{listens_at}"
    with programs.running(["ssh", "-N", "-L", forward, *target.words]) as ssh:
        _wait_until_open(port, ssh, target)
        yield f"http://127.0.0.1:{port}/api", auth


def _read_settings(target: SshTarget) -> tuple[str, str]:
    """Where the API listens there (host:port) and its `user:password`, as the worker of that host reads them."""
    done = programs.run(["ssh", *target.words, "cat", SETTINGS_FILE], timeout_s=UP_WITHIN_S, check=False)
    if done.code == SSH_FAILED:
        raise ServerUnreachable(
            f"ssh cannot log in to {target.host}: {done.err.strip()}", f"ssh {target.host} true must work unasked"
        )
    if "Permission denied" in done.err:
        raise ServerUnreachable(
            f"{target.user or 'your user'} may not read {SETTINGS_FILE} on {target.host}",
            f"only root may: ssh://root@{target.host}",
        )
    settings = dict(line.split("=", 1) for line in done.out.splitlines() if "=" in line)
    url = urlsplit(settings.get("PREFECT_API_URL", ""))
    if done.code or url.port is None:
        raise ServerUnreachable(
            f"no control plane was ever started on {target.host}: {done.err.strip()}", "stampede server start there"
        )
    return url.netloc, settings.get("PREFECT_API_AUTH_STRING", "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, ssh: programs.Running, target: SshTarget) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        if ssh.ended:
            raise ServerUnreachable(f"ssh to {target.host} ended: {ssh.said.strip()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise ServerUnreachable(f"ssh to {target.host} opened no tunnel within {UP_WITHIN_S:g} s")
