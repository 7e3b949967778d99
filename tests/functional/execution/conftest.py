"""A control plane of its own for these tests, on a free port, in a directory of its own."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from stampede import control_plane
from stampede.client import Client
from stampede.places import RUN_VARIABLE, STATE_VARIABLE, Places
from stampede.programs import run
from stampede.results import FINAL_STATES, read_result

HOST = "h1"
FLOWS = "tests.functional.execution.sample_flows"


@dataclass
class Plane:
    """A running control plane, and what tests do with it."""

    places: Places
    environment: Mapping[str, str]
    http: httpx.Client
    client: Client
    counts: Path

    def start_again(self) -> None:
        start_control_plane(self.environment)

    def start(self, flow: str, **parameters: Any) -> str:
        found = self.http.get(f"/deployments/name/{flow}/any").raise_for_status().json()
        made = self.http.post(f"/deployments/{found['id']}/create_flow_run", json={"parameters": parameters})
        return str(made.raise_for_status().json()["id"])

    def run_of(self, run_id: str) -> dict[str, Any]:
        while True:
            try:
                run: dict[str, Any] = self.http.get(f"/flow_runs/{run_id}").raise_for_status().json()
            except httpx.TransportError:
                time.sleep(0.2)
            else:
                return run

    def wait(self, run_id: str, timeout_s: float = 90) -> dict[str, Any]:
        return self.wait_for(run_id, FINAL_STATES, timeout_s)

    def wait_for(self, run_id: str, kinds: frozenset[str], timeout_s: float = 90) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while (run := self.run_of(run_id))["state_type"] not in kinds:
            assert time.monotonic() < deadline, f"{run['name']} is still {run['state_type']}"
            time.sleep(0.05)
        return run

    def result(self, flow: str, **parameters: Any) -> Any:
        return read_result(self.http, self.wait(self.start(flow, **parameters)))

    def cancel(self, run_id: str) -> None:
        body = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        self.http.post(f"/flow_runs/{run_id}/set_state", json=body).raise_for_status()

    def children(self, run_id: str) -> list[dict[str, Any]]:
        body = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}, "sort": "START_TIME_ASC"}
        found: list[dict[str, Any]] = self.http.post("/flow_runs/filter", json=body).raise_for_status().json()
        return found

    def counted(self, name: str) -> int:
        path = self.counts / name
        return len(path.read_text().splitlines()) if path.exists() else 0

    def until_counted(self, name: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.counted(name):
            assert time.monotonic() < deadline, f"{name} was never reached"
            time.sleep(0.05)

    def pid(self, name: str) -> int | None:
        return dict(control_plane.status(self.places).processes).get(name)

    def until_healthy(self, timeout_s: float = 120) -> None:
        deadline = time.monotonic() + timeout_s
        while not control_plane.status(self.places).healthy:
            assert time.monotonic() < deadline, "the control plane did not come back"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    root = tmp_path_factory.mktemp("control-plane")
    places = Places(root / "state", root / "run")
    counts = root / "counts"
    counts.mkdir()
    environment = _environment(places, counts)
    try:
        start_control_plane(environment, "--port", str(free_port()))
        url, auth = control_plane.connect(places)
        user, _, password = auth.partition(":")
        with httpx.Client(base_url=url, auth=(user, password), timeout=60) as http, Client(url, auth) as client:
            yield Plane(places, environment, http, client, counts)
    finally:
        control_plane.stop(places, everything=True)


def start_control_plane(environment: Mapping[str, str], *words: str) -> None:
    """As a user does. The environment is that of the command and of what it starts: this process keeps its own."""
    run([sys.executable, "-m", "stampede", "server", "start", *words], env=environment, timeout_s=180)


def _environment(places: Places, counts: Path) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "STAMPEDE_"))}
    return inherited | {
        STATE_VARIABLE: str(places.state),
        RUN_VARIABLE: str(places.run),
        "STAMPEDE_HOST": HOST,
        "STAMPEDE_FLOWS": f"{FLOWS}:FLOWS",
        "STAMPEDE_VERBS": f"{FLOWS}:VERBS",
        "STAMPEDE_BACKGROUND": f"{FLOWS}:BACKGROUND",
        "COUNTS": str(counts),
        # Hourly otherwise: no test waits that long for an old run to go.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "2",
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
