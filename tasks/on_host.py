"""The one way from a flow to a host: run a flow on the host's worker and wait for its typed result or typed error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import typing
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar, cast
from uuid import uuid4

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.context import AsyncClientContext, FlowRunContext
from prefect.logging import get_logger
from pydantic import TypeAdapter

from stampede import results
from stampede.errors import BadInput, HostUnreachable, StampedeError
from stampede.places import HOST_VARIABLE
from stampede.tasks.on_host_waiting import Run, RunWatcher, last_heartbeat
from stampede.tasks.threads import to_the_end

POOL = "stampede"
LINK_PREFIX = "on_host."
CANCEL_WAIT_S = 180.0  # a host may have to stop one instance and to start another before its run is over
WORKER_BACK_S = 60.0
HEARD_OF_S = 30.0

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_log = get_logger("stampede.on_host")
_flow_ids: dict[tuple[str, str], str] = {}
_steps_taken: OrderedDict[tuple[str, int], set[str]] = OrderedDict()


class HostFlow(Protocol[R_co]):
    """An async flow of Prefect, as far as it is needed here: a type checker infers from it what `on_host` returns."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str | None: ...

    @property
    def fn(self) -> Callable[..., Awaitable[R_co]]: ...

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]: ...


async def on_host(
    host: str, flow: HostFlow[R], /, *, step: str, reuse: bool = True, crash_retries: int = 1, **parameters: Any
) -> R:
    """What `flow` returns when the worker of `host` runs it with these parameters, as the flow's return type.

    `step` names the run in the UI and makes it findable: when the calling run is resumed, it attaches to the run of
    this step, host and parameters that is under way, and takes the result of one that has finished (unless `reuse` is
    false, for what must be looked at afresh). So a step may be taken once per run of the caller. A run that crashed
    because its worker was restarted is started again `crash_retries` times. Cancelling the caller cancels the run.

    A look (`reuse` is false) at the very host that the caller runs on is taken in the caller's own run: there is
    nothing to attach to later, and another run would cost the server more than the look itself.

    Raises: the error of Stampede that the flow raised; HostUnreachable when the worker is silent or keeps crashing;
    Cancelled when somebody cancelled the run; ServerUnreachable.
    """
    if not reuse and host == os.environ.get(HOST_VARIABLE) and FlowRunContext.get() is not None:
        return await flow.fn(**parameters)
    async with AsyncClientContext.get_or_create() as context:
        child = _Child(context.client, host, flow, step, flow.serialize_parameters(parameters))
        await child.link_to_caller()
        run = await child.started_before(reuse)
        for attempt in range(crash_retries + 1):
            if run is None:
                run = await child.start(attempt)
            run = await child.wait(run)
            if run["state_type"] != "CRASHED" or attempt == crash_retries:
                break
            await child.wait_for_worker()
            run = None
        assert run is not None, "the loop ran at least once"
        return cast(R, await child.result(run))


async def on_hosts(
    parameters_of: Mapping[str, Mapping[str, Any]], flow: HostFlow[R], /, *, step: str, reuse: bool = True
) -> dict[str, R]:
    """`on_host` on several hosts at once. When some fail, the others finish first; then the first error is raised."""
    done = await asyncio.gather(
        *(on_host(host, flow, step=step, reuse=reuse, **wanted) for host, wanted in parameters_of.items()),
        return_exceptions=True,
    )
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    return dict(zip(parameters_of, cast("list[R]", done), strict=True))


class _Child:
    """One flow run on a host, as its caller sees it."""

    def __init__(
        self, client: PrefectClient, host: str, flow: HostFlow[Any], step: str, parameters: dict[str, Any]
    ) -> None:
        self.client, self.host, self.flow, self.step, self.parameters = client, host, flow, step, parameters
        self.watcher = RunWatcher.of_this_loop()
        self.link: str | None = None
        self.caller_runs = 1

    async def link_to_caller(self) -> None:
        """Afterwards a task run of the calling flow run stands for this step. It is the same one on every run of it.

        Raises: BadInput when the caller has taken a step of this name on this host already.
        """
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            return
        caller = context.flow_run
        self.caller_runs = caller.run_count or 1
        key = f"{LINK_PREFIX}{self.flow.name}.{self.host}"
        _take_step(str(caller.id), self.caller_runs, f"{key} {self.step}")
        answer = await self.client.request(
            "POST",
            "/task_runs/",
            json={
                "flow_run_id": str(caller.id),
                "task_key": key,
                "dynamic_key": self.step,
                "name": self.step,
                "state": {"type": "PENDING", "name": "Pending"},
            },
        )
        self.link = str(answer.json()["id"])

    async def started_before(self, reuse: bool) -> Run | None:
        """The run that an earlier life of the caller started for this very step, if it can still be used."""
        if self.link is None or self.caller_runs == 1:
            return None
        body = {
            "flow_runs": {"parent_task_run_id": {"any_": [self.link]}},
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": 1,
        }
        found = cast("list[Run]", (await self.client.request("POST", "/flow_runs/filter", json=body)).json())
        if not found:
            return None
        under_way = found[0]["state_type"] not in results.FINAL_STATES
        if found[0]["parameters"] != self.parameters:
            if under_way:  # it works on an older idea of this step, and two at once would be in each other's way
                await self.wait(found[0])
            return None
        finished = found[0]["state_type"] == "COMPLETED" and reuse
        return found[0] if under_way or finished else None

    async def start(self, attempt: int) -> Run:
        """A scheduled run on the host's queue. A repeated request finds the run that the first one made.

        If the caller is cancelled while the server makes it, it is cancelled as well.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.watcher.listening.wait(), 2.0)
        starting = asyncio.ensure_future(self._create(attempt))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await to_the_end(self._withdraw(starting))
            raise

    async def _create(self, attempt: int) -> Run:
        link = self.link or uuid4().hex
        stack = self.parameters.get("stack")
        answer = await self.client.request(
            "POST",
            "/flow_runs/",
            json={
                "flow_id": await self._flow_id(),
                "flow_version": self.flow.version,
                "name": self.step,
                "idempotency_key": f"{link}:{self.caller_runs}:{attempt}",
                "parameters": self.parameters,
                "state": {"type": "SCHEDULED", "state_details": {}},
                "parent_task_run_id": self.link,
                "work_pool_name": POOL,
                "work_queue_name": self.host,
                "tags": [f"host:{self.host}", *([f"stack:{stack}"] if isinstance(stack, str) else [])],
                "empirical_policy": {"retries": 0, "retry_delay": 0},
            },
        )
        return cast(Run, answer.json())

    async def wait(self, run: Run) -> Run:
        """The run, once it is final. Raises: HostUnreachable, after closing the run."""
        try:
            return await self.watcher.wait_until_final(self.client, run["id"], POOL, self.host)
        except asyncio.CancelledError:
            await to_the_end(self._cancel(run))
            raise
        except HostUnreachable as error:
            await self._set_state(run, "CRASHED", error.message)
            raise

    async def wait_for_worker(self) -> None:
        """Return once the worker that was restarted reports again. Raises: HostUnreachable."""
        deadline = time.time() + WORKER_BACK_S
        while time.time() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                heard = await last_heartbeat(self.client, POOL, self.host)
                if heard is not None and time.time() - heard < HEARD_OF_S:
                    return
            await asyncio.sleep(1.0)
        raise HostUnreachable(f"The worker of {self.host} crashed and did not come back within {WORKER_BACK_S:.0f} s")

    async def result(self, run: Run) -> Any:
        """The result, validated against the flow's return type. Raises: what `on_host` raises."""
        state = run["state"]
        if state["type"] == "CRASHED":
            raise HostUnreachable(f"{self.step!r} crashed on {self.host}: {state['message']}", "run it again")
        key = results.storage_key_of(state)
        if key is None and state["type"] == "COMPLETED":
            value: Any = None
        elif key is None:
            raise results.error_of_state(state, f"{self.step!r} on {self.host}")
        else:
            query = results.artifact_query(key, run["id"])
            answer = await self.client.request("POST", "/artifacts/filter", json=query)
            value = results.decode(results.artifact_content(answer.json(), key))
        if isinstance(value, StampedeError):
            raise value
        returned = typing.get_type_hints(self.flow.fn).get("return", Any)
        return TypeAdapter(returned).validate_python(value)

    async def _cancel(self, run: Run) -> None:
        """Ask the worker to stop the run, and wait for it, so that a lock is not given back under its feet."""
        try:
            await self._set_state(run, "CANCELLING", "The run that started it was cancelled")
            waiting = self.watcher.wait_until_final(self.client, run["id"], POOL, self.host)
            await asyncio.wait_for(waiting, CANCEL_WAIT_S)
        except (TimeoutError, httpx.HTTPError, StampedeError) as error:
            _log.warning("%r on %s may still be running: %r", self.step, self.host, error)

    async def _withdraw(self, starting: Awaitable[Run]) -> None:
        try:
            run = await starting
        except httpx.HTTPError as error:
            _log.warning("%r may have been started on %s: %r", self.step, self.host, error)
        else:
            await self._cancel(run)

    async def _set_state(self, run: Run, kind: str, message: str) -> None:
        state = {"type": kind, "name": kind.capitalize(), "message": message}
        body = {"state": state, "force": kind == "CRASHED"}
        await self.client.request("POST", "/flow_runs/{id}/set_state", path_params={"id": run["id"]}, json=body)

    async def _flow_id(self) -> str:
        known_as = (str(self.client.api_url), self.flow.name)
        if known_as not in _flow_ids:
            _flow_ids[known_as] = str(await self.client.create_flow_from_name(self.flow.name))
        return _flow_ids[known_as]


def _take_step(caller_id: str, caller_runs: int, step: str) -> None:
    """Remember that this life of the caller took this step; the 256 latest lives are remembered."""
    taken = _steps_taken.setdefault((caller_id, caller_runs), set())
    if step in taken:
        raise BadInput(f"A step was taken twice in one run: {step}", "give each step of a flow a name of its own")
    taken.add(step)
    while len(_steps_taken) > 256:
        _steps_taken.popitem(last=False)
