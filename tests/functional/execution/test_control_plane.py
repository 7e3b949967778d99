"""The embedded control plane: files, access, supervision, deployments."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from stampede import control_plane
from stampede.control_plane import services
from stampede.control_plane.processes import read_pid
from stampede.control_plane.services import read_env
from stampede.control_plane.settings import RUNS_KEPT_DAYS, worker_env
from stampede.errors import Refused
from tests.functional.execution.conftest import Plane

pytestmark = pytest.mark.functional


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_and_directories_are_readable_by_their_owner_only(plane: Plane) -> None:
    places = plane.places
    assert {mode(folder) for folder in (places.state, places.server, places.host, places.logs, places.run)} == {0o700}
    files = [path for path in places.state.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"password", "encryption-key", "server.env", "worker.env", "server.log"}
    assert {path.name: oct(mode(path)) for path in files if mode(path) & 0o077} == {}


def test_no_secret_is_on_a_command_line(plane: Plane) -> None:
    password = (plane.places.server / "password").read_text().strip()
    for _, pid in control_plane.status(plane.places).processes:
        assert password not in Path(f"/proc/{pid}/cmdline").read_text()


def test_without_the_password_the_api_answers_401(plane: Plane) -> None:
    assert httpx.get(f"{plane.http.base_url}flows/count").status_code in {401, 405}
    assert httpx.post(f"{plane.http.base_url}flows/filter", json={}).status_code == 401


def test_a_second_start_changes_nothing(plane: Plane) -> None:
    before = control_plane.status(plane.places)
    plane.start_again()
    assert control_plane.status(plane.places) == before


def test_a_twin_of_the_worker_refuses_to_start(plane: Plane) -> None:
    environment = {**plane.environment, **read_env(worker_env(plane.places))}
    twin = [sys.executable, "-m", "stampede.deployments.worker_entry"]
    done = subprocess.run(twin, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == Refused.exit_code
    assert "running here already" in done.stdout + done.stderr


def test_a_killed_supervisor_is_replaced_by_one_that_adopts_what_runs(plane: Plane) -> None:
    before = dict(control_plane.status(plane.places).processes)
    os.kill(before["supervisor"], signal.SIGKILL)
    plane.until_healthy()
    plane.start_again()
    after = dict(control_plane.status(plane.places).processes)
    assert (after["server"], after["worker"]) == (before["server"], before["worker"])
    assert after["supervisor"] != before["supervisor"]


def test_services_are_added_respawned_and_removed_while_the_supervisor_runs(plane: Plane) -> None:
    pid_file = plane.places.run / "sleeper.pid"
    services.add(plane.places, control_plane.Service("sleeper", ("sleep", "1000"), traffic=True))
    try:
        first = _wait_for_pid(pid_file, other_than=0)
        os.kill(first, signal.SIGKILL)
        assert _wait_for_pid(pid_file, other_than=first) != first
    finally:
        services.remove(plane.places, "sleeper")
    deadline = time.monotonic() + 10
    while read_pid(pid_file) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_registering_again_keeps_schedules_of_a_stack(plane: Plane) -> None:
    assert _register(plane, "ensure") == ""
    (deployment,) = [one for one in _deployments(plane) if one["name"] == "webshop" and "fail-typed" in one["path"]]
    assert deployment["parameters"] == {"stack": "webshop"}
    assert "stack:webshop" in deployment["tags"]
    schedule = [{"schedule": {"cron": "0 3 * * *"}, "active": True}]
    plane.http.post(f"/deployments/{deployment['id']}/schedules", json=schedule).raise_for_status()
    assert _register(plane, "ensure") == ""
    again = plane.http.get(f"/deployments/{deployment['id']}").raise_for_status().json()
    assert [one["schedule"]["cron"] for one in again["schedules"]] == ["0 3 * * *"]
    before = {one["path"]: one["parameters"] for one in _deployments(plane) if one["name"] == "webshop"}
    other = next(one for one in _deployments(plane) if one["name"] == "webshop" and one["id"] != deployment["id"])
    plane.http.delete(f"/deployments/{other['id']}").raise_for_status()
    assert _register(plane, "refresh") == ""  # as a worker does that starts with a newer release
    assert {one["path"]: one["parameters"] for one in _deployments(plane) if one["name"] == "webshop"} == before
    assert plane.http.get(f"/deployments/{deployment['id']}").json()["schedules"] == again["schedules"]
    assert _register(plane, "remove") == ""
    assert [one for one in _deployments(plane) if one["name"] == "webshop"] == []


def test_runs_older_than_the_kept_period_go_by_themselves(plane: Plane) -> None:
    days = {plane.start("greet", name=f"{age} days"): age for age in (0, RUNS_KEPT_DAYS - 1, RUNS_KEPT_DAYS + 1)}
    for run_id, age in days.items():
        plane.wait(run_id)
        _let_it_have_ended(plane, run_id, days_ago=age)
    deadline = time.monotonic() + 30
    while len(kept := [run_id for run_id in days if plane.http.get(f"/flow_runs/{run_id}").status_code == 200]) > 2:
        assert time.monotonic() < deadline, "the old run is still there"
        time.sleep(0.5)
    assert [days[run_id] for run_id in kept] == [0, RUNS_KEPT_DAYS - 1]


def _let_it_have_ended(plane: Plane, run_id: str, days_ago: int) -> None:
    """Nothing but the database itself lets a run be old."""
    with closing(sqlite3.connect(plane.places.server / "prefect.db", timeout=30)) as database, database:
        changed = database.execute(
            "UPDATE flow_run SET end_time = strftime('%Y-%m-%d %H:%M:%f000', end_time, ?) WHERE id = ?",
            (f"-{days_ago} days", run_id),
        )
        assert changed.rowcount == 1


def test_the_server_sends_nobody_what_it_is_used_for(plane: Plane) -> None:
    settings = plane.http.get("/admin/settings").raise_for_status().json()
    assert settings["server"]["analytics_enabled"] is False
    for name in ("server", "worker"):
        environment = Path(f"/proc/{plane.pid(name)}/environ").read_bytes().split(b"\0")
        assert {b"PREFECT_SERVER_ANALYTICS_ENABLED=false", b"DO_NOT_TRACK=1"} <= set(environment)


def _deployments(plane: Plane) -> list[dict[str, Any]]:
    found = plane.http.post("/deployments/filter", json={"limit": 200}).raise_for_status().json()
    names = {one["id"]: one["name"] for one in plane.http.post("/flows/filter", json={}).raise_for_status().json()}
    return [one | {"path": f"{names[one['flow_id']]}/{one['name']}"} for one in found]


def _register(plane: Plane, what: str) -> str:
    """In a process with the worker's settings, as the flows do it. Returns what went wrong."""
    call = {
        "ensure": "ensure_stack_deployments(client, 'webshop', {'stack': 'webshop'})",
        "refresh": "refresh_stack_deployments(client)",
        "remove": "remove_stack_deployments(client, 'webshop')",
    }[what]
    code = f"""
import asyncio
from prefect.client.orchestration import get_client
from stampede.tasks import deployments
async def main():
    async with get_client() as client:
        await deployments.{call}
asyncio.run(main())
"""
    environment = {**plane.environment, **read_env(worker_env(plane.places))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return "" if done.returncode == 0 else done.stderr[-2000:]


def _wait_for_pid(path: Path, other_than: int) -> int:
    deadline = time.monotonic() + 15
    while (found := read_pid(path)) is None or found.pid == other_than:
        assert time.monotonic() < deadline, f"{path} never named a process"
        time.sleep(0.05)
    return found.pid
