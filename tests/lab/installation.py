"""An installation of Stampede of a test's own: a control plane in its own directories, driven by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx

from stampede import control_plane
from stampede.control_plane.processes import read_pid
from stampede.places import RUN_VARIABLE, STATE_VARIABLE, Places
from stampede.results import FINAL_STATES

COMMAND_TIMEOUT_S = 150.0
HOST = "h1"


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Installation:
    """A control plane below `root`. `environment` is what its commands and processes see beside the caller's."""

    root: Path
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def places(self) -> Places:
        return Places(self.root / "state", self.root / "run")

    def start(self) -> None:
        self.run("server", "start", "--port", str(self.port))

    def stop(self) -> None:
        self.run("server", "stop", "--everything", check=False)

    def run(self, *words: str, code: int = 0, check: bool = True, cwd: Path | None = None) -> Ended:
        """A command that ends with `code`. One that hangs is killed, and fails the test."""
        return self.end(self.begin(*words, cwd=cwd), code=code, check=check)

    def begin(self, *words: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """A command that goes on while the test does. It is the leader of a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "stampede", *words],
            cwd=cwd or self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str], *, code: int = 0, check: bool = True) -> Ended:
        """How a command that was begun ends. Asserts that it does so with `code`, in time."""
        try:
            out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{process.args!r} hung.\n{out}\n{err}\n{self.last_words()}") from None
        words = cast("list[str]", process.args)[3:]
        ended = Ended(tuple(words), process.returncode, out, err)
        if check and ended.code != code:
            raise AssertionError(
                f"stampede {' '.join(ended.words)} ended with {ended.code}, not {code}\n"
                f"--- stdout\n{out}\n--- stderr\n{err}\n{self.last_words()}"
            )
        return ended

    def last_words(self) -> str:
        """The ends of the logs, for a test that failed."""
        ends = [f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.places.logs.glob("w*.log"))]
        return "\n".join(ends)

    @property
    def api(self) -> httpx.Client:
        """Prefect's API, to be closed by the caller."""
        url, auth = control_plane.connect(self.places)
        user, _, password = auth.partition(":")
        return httpx.Client(base_url=url, auth=(user, password), timeout=60)

    def read(self, path: str, body: Any = None) -> Any:
        """What the API answers; a server that is away is waited for."""
        deadline = time.monotonic() + COMMAND_TIMEOUT_S
        with self.api as api:
            while True:
                try:
                    answer = api.get(path) if body is None else api.post(path, json=body)
                    return answer.raise_for_status().json()
                except httpx.TransportError:
                    assert time.monotonic() < deadline, f"no answer to {path}"
                    time.sleep(0.3)

    def wait_for_run(self, run: str) -> dict[str, Any]:
        """A flow run, once it is final."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            nonlocal found
            found = self.read(f"/flow_runs/{run}")
            return found["state_type"] in FINAL_STATES

        until(ended, f"run {run} ends")
        return found

    def lock_of(self, stack: str) -> dict[str, Any] | None:
        """What the lock of a stack says, if somebody holds it."""
        found = self.read("/variables/filter", {"variables": {"name": {"any_": [f"lock-{stack}"]}}})
        return found[0]["value"] if found else None

    def pid(self, name: str) -> int:
        process = read_pid(self.places.run / f"{name}.pid")
        assert process is not None, f"{name} does not run"
        return process.pid

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self.pid(name), signal.SIGKILL)

    def until_healthy(self) -> None:
        until(lambda: control_plane.status(self.places).healthy, "the control plane is healthy")

    @property
    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "STAMPEDE_", "COMPOSE_"))}
        places = {STATE_VARIABLE: str(self.places.state), RUN_VARIABLE: str(self.places.run), "STAMPEDE_HOST": HOST}
        own = {"PYTHONPATH": str(Path(__file__).parents[2]), "NO_COLOR": "1"}
        return inherited | places | own | dict(self.environment)


def until(holds: Callable[[], object], what: str, timeout_s: float = COMMAND_TIMEOUT_S) -> None:
    """Returns once `holds` does; fails the test when it takes too long."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain until {what}"
        time.sleep(0.1)
