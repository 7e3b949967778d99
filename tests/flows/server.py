"""A Prefect server of these tests' own: the one users get, in a directory and at a port of its own."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    PREFECT_DEFAULT_RESULT_STORAGE_BLOCK,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_RESULTS_DEFAULT_SERIALIZER,
    PREFECT_TASKS_DEFAULT_PERSIST_RESULT,
    temporary_settings,
)

from stampede.blocks import BLOCKS
from stampede.control_plane.settings import _first_certificate as first_certificate
from stampede.deployments.register import ensure_result_storage, register_blocks
from tests.conftest import pick_port

START_DEADLINE_S = 180.0


@dataclass(frozen=True)
class Server:
    """A server that answers. `home` holds its database, `prefect.db`."""

    url: str
    auth: str
    home: Path

    @contextmanager
    def as_api(self, *, logs: bool = False) -> Iterator[None]:
        """Inside the `with`, flows of this process run against this server, with the settings of a worker.

        `logs` says whether they send their logs as well, as a worker does.
        """
        worker_settings = {
            PREFECT_API_URL: self.url,
            PREFECT_API_AUTH_STRING: self.auth,
            PREFECT_API_SSL_CERT_FILE: str(self.home / "one-ca.pem"),
            PREFECT_LOGGING_TO_API_ENABLED: logs,
            PREFECT_HOME: self.home / "worker",
            PREFECT_DEFAULT_RESULT_STORAGE_BLOCK: "api-results/default",
            PREFECT_RESULTS_DEFAULT_SERIALIZER: "stampede-json",
            PREFECT_TASKS_DEFAULT_PERSIST_RESULT: False,
        }
        with temporary_settings(updates=worker_settings):
            yield

    async def register(self) -> None:
        """What a worker does at its start."""
        with self.as_api():
            async with get_client() as client:
                await register_blocks(client, BLOCKS)
                await ensure_result_storage(client)


@contextmanager
def running_server(home: Path) -> Iterator[Server]:
    """A server for the time of the `with`."""
    port, auth = pick_port(), f"stampede:{secrets.token_urlsafe(12)}"
    (home / "one-ca.pem").write_text(first_certificate())
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_ENCRYPTION_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | settings
    argv = [sys.executable, "-m", "stampede.deployments.server_entry", "--port", str(port)]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
    try:
        _wait_until_it_answers(process, f"http://127.0.0.1:{port}/api/ready", auth, home / "server.log")
        yield Server(f"http://127.0.0.1:{port}/api", auth, home)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, auth: str, log: Path) -> None:
    user, _, password = auth.partition(":")
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, auth=(user, password), timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
