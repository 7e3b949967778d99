"""Runs of flows: start one, watch it with its steps until it ends, cancel it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from stampede.client.api import NameTaken, PrefectApi
from stampede.client.requests import Request
from stampede.client.steps import Step, read_steps
from stampede.errors import BadInput, ServerUnreachable, StampedeError, UnknownName

ANY_STACK = "any"
FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
# No verb is done sooner than the first pause, and each look costs the server as much as a small step of the run itself.
FIRST_PAUSE_S = 0.3
SHORTEST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5
FIRST_STEPS_AFTER_S = 0.8
STEPS_EVERY_S = 0.4
STEPS_PAUSE_RATIO = 9
LOOK_PAUSE_RATIO = 3
SERVER_AWAY_S = 120.0


class RunGoesOn(StampedeError):
    """A run has not ended within the time it was waited for, and goes on."""


def stack_tag(stack: str) -> str:
    """The tag that every run of a stack carries, as its deployments do."""
    return f"stack:{stack}"


@dataclass(frozen=True)
class Run:
    """One run as last read. `kind` is Prefect's type of its state, `state` the name people see."""

    id: str
    name: str
    url: str
    kind: str
    state: str
    message: str = ""
    duration_s: float = 0.0
    steps: tuple[Step, ...] = ()
    server_away: bool = False

    @property
    def is_final(self) -> bool:
        return self.kind in FINAL


Watcher = Callable[[Run], None]


def start_run(api: PrefectApi, request: Request) -> Run:
    """Start the flow of a request, by the stack's own deployment if it has one.

    Asking twice starts one run only (the request carries a key), so a lost answer does no harm.
    Raises: BadInput when the parameters do not fit the flow, StampedeError when this server has no such flow.
    """
    deployment = _deployment(api, request)
    _check_parameters(request, deployment)
    body = {
        "parameters": request.parameters,
        "idempotency_key": f"stampede-{secrets.token_hex(12)}",
        "tags": ["stampede", *([stack_tag(request.subject)] if request.subject else [])],
    }
    try:
        made = api.post(f"/deployments/{deployment['id']}/create_flow_run", body)
    except NameTaken as error:  # Prefect answers 409 when parameters do not fit the flow's schema.
        raise BadInput(f"{request.flow} does not accept this: {error.message}") from error
    return run_of(api, made)


def read_run(api: PrefectApi, run_id: str) -> Run:
    """A run by its id. Raises: UnknownName."""
    return run_of(api, read_flow_run(api, run_id))


def read_flow_run(api: PrefectApi, run_id: str) -> dict[str, Any]:
    """A run as Prefect describes it. Raises: UnknownName."""
    found: dict[str, Any] | None = None
    try:
        found = api.get(f"/flow_runs/{run_id}")
    except BadInput:  # 422: not a UUID
        found = None
    if found is None:
        raise UnknownName(f"there is no run {run_id}", "stampede history names the runs of a stack")
    return found


def run_of(api: PrefectApi, flow_run: dict[str, Any]) -> Run:
    """What Prefect says of a flow run, as far as we look at it."""
    state = flow_run.get("state") or {}
    return Run(
        id=flow_run["id"],
        name=flow_run.get("name") or flow_run["id"],
        url=f"{api.ui}/runs/flow-run/{flow_run['id']}",
        kind=state.get("type") or flow_run.get("state_type") or "PENDING",
        state=state.get("name") or flow_run.get("state_name") or "Pending",
        message=state.get("message") or "",
        duration_s=float(flow_run.get("total_run_time") or 0.0),
    )


def follow(
    api: PrefectApi, run_id: str, watch: Watcher | None = None, timeout_s: float | None = None
) -> dict[str, Any]:
    """Wait until a run has ended and return it as Prefect describes it; `watch` sees it with its steps on the way.

    A server that is away for a while (it may restart at any time) is waited for.
    Raises: ServerUnreachable after 120 s of silence, RunGoesOn when `timeout_s` passes.
    """
    patience = _Patience(timeout_s)
    run: Run | None = None
    while True:
        began = time.monotonic()
        try:
            flow_run = read_flow_run(api, run_id)
            run = run_of(api, flow_run)
            patience.heard(time.monotonic() - began)
            if watch and patience.steps_are_due(run):
                asked = time.monotonic()
                watch(replace(run, steps=read_steps(api, run_id)))
                patience.steps_took(time.monotonic() - asked)
            elif watch and run.is_final:
                watch(run)
            if run.is_final:
                return flow_run
        except ServerUnreachable as error:
            patience.away(error, run_id)
            if watch and run:
                watch(replace(run, server_away=True))
        patience.pause(run_id)


def cancel_run(api: PrefectApi, run_id: str) -> None:
    """Ask a run to stop at its next task boundary. A run that nobody works on is over at once."""
    flow_run = read_flow_run(api, run_id)
    if flow_run.get("state_type") in FINAL:
        return
    waiting = flow_run.get("state_type") == "SCHEDULED"
    state = {"type": "CANCELLED", "name": "Cancelled"} if waiting else {"type": "CANCELLING", "name": "Cancelling"}
    api.post(f"/flow_runs/{run_id}/set_state", {"state": state, "force": False})


def close_run(api: PrefectApi, run_id: str) -> None:
    """Afterwards a run counts as cancelled, whether or not its worker answers."""
    api.post(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True})


def _deployment(api: PrefectApi, request: Request) -> dict[str, Any]:
    for name in (request.subject, ANY_STACK):
        found: dict[str, Any] | None = api.get(f"/deployments/name/{request.flow}/{name}") if name else None
        if found:
            return found
    raise StampedeError(
        f"the server at {api.url} has no deployment {request.flow}/{ANY_STACK}",
        "its workers register it when they start: stampede server status on that machine shows them",
    )


def _check_parameters(request: Request, deployment: dict[str, Any]) -> None:
    """Prefect lets parameters pass that the flow does not know, and the run then never starts. Raises: BadInput."""
    known = (deployment.get("parameter_openapi_schema") or {}).get("properties")
    unknown = sorted(request.parameters.keys() - known.keys()) if known is not None else []
    if unknown:
        raise BadInput(
            f"{request.flow} of this server knows no {', '.join(unknown)}", "the server is older than this command"
        )


class _Patience:
    """How long until the next look, and how long a silent server is waited for."""

    def __init__(self, timeout_s: float | None) -> None:
        now = time.monotonic()
        self._deadline = None if timeout_s is None else now + timeout_s
        self._timeout_s = timeout_s
        self._pauses_s = pauses_s()
        self._look_s = 0.0
        self._steps_at = now + FIRST_STEPS_AFTER_S
        self._steps_were_read = False
        self._heard_at = now

    def heard(self, look_s: float) -> None:
        """The server answered, after so many seconds: one that is busy is asked more seldom."""
        self._heard_at, self._look_s = time.monotonic(), look_s

    def steps_are_due(self, run: Run) -> bool:
        """Now and then while it goes on, and at its end, unless it was over before anybody could have read them."""
        now = time.monotonic()
        if now < self._steps_at and not (run.is_final and self._steps_were_read):
            return False
        self._steps_at, self._steps_were_read = now + STEPS_EVERY_S, True
        return True

    def steps_took(self, seconds: float) -> None:
        """Reading a long list of steps keeps the server from working on them: a tenth of the time is for that."""
        self._steps_at += STEPS_PAUSE_RATIO * seconds

    def away(self, error: ServerUnreachable, run_id: str) -> None:
        if time.monotonic() - self._heard_at > SERVER_AWAY_S:
            raise ServerUnreachable(
                error.message, f"the run goes on without it; when it is back: stampede follow {run_id}"
            ) from error

    def pause(self, run_id: str) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise RunGoesOn(f"run {run_id} has not ended within {self._timeout_s:g} s", f"stampede follow {run_id}")
        time.sleep(max(next(self._pauses_s), LOOK_PAUSE_RATIO * self._look_s))


def pauses_s() -> Iterator[float]:
    """Between two looks at a run: short soon after a short verb can have ended, then longer and longer."""
    yield FIRST_PAUSE_S
    pause_s = SHORTEST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(LONGEST_PAUSE_S, pause_s * 1.15)
