"""HostWorker: one process per host that runs the host's flow runs in its own event loop.

It serves the queue named after the host and, on a control host, the queue `control`. Events wake the ordinary poll of
Prefect's workers, so paused queues and limits are honoured; the poll every 10 s is the net. A run names a flow, and
only flows that are installed with the worker run: never an entrypoint or a pull step that a deployment names.

Stopping is crash-only: what does not end within the grace time is left, and the next start resumes or closes it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any
from uuid import UUID

import anyio.abc
import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import AsyncClientContext
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import Flow
from prefect.logging import get_logger
from prefect.settings import PREFECT_API_URL
from prefect.states import Failed
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from stampede.control_plane.services import write_private
from stampede.deployments.background import keep_running
from stampede.deployments.host_worker_engine import run_in_this_loop
from stampede.deployments.host_worker_lock import host_lock
from stampede.deployments.host_worker_recovery import close_cancelled, close_or_resume
from stampede.deployments.host_worker_wakeup import watch_queues
from stampede.errors import BadInput
from stampede.places import Places

POOL = "stampede"
CONTROL_QUEUE = "control"
POLL_S = 10.0
HEARTBEAT_S = 10
GRACE_S = 10.0

AnyFlow = Flow[..., Any]
Job = Callable[[], Awaitable[None]]

_log = get_logger("stampede.worker")


class HostWorker(BaseWorker[BaseJobConfiguration, BaseVariables, BaseWorkerResult]):
    """Runs the flow runs of `queues` in this process. `flows` maps the names of installed async flows to the flows.

    `prepare` is called with a client before the first run is taken, and again until it succeeds once. `background`
    jobs run beside the flows and are restarted with back-off when they fail.
    """

    type = "stampede-host"
    _description = "Runs Stampede's flows inside the worker process of a host."

    def __init__(
        self,
        *,
        host: str,
        flows: Mapping[str, AnyFlow],
        places: Places,
        queues: Sequence[str] = (),
        background: Sequence[Job] = (),
        prepare: Callable[[PrefectClient], Awaitable[None]] | None = None,
    ) -> None:
        blocking = [name for name, flow in flows.items() if not flow.isasync]
        if blocking:
            raise BadInput(f"Flows of a host must be async; these are not: {', '.join(blocking)}")
        super().__init__(
            work_pool_name=POOL,
            work_queues=[*(queues or (host,))],
            name=host,
            heartbeat_interval_seconds=HEARTBEAT_S,
        )
        self.host, self.flows, self.places = host, flows, places
        self._background, self._prepare = background, prepare
        self._prepared = False
        self._wake = asyncio.Event()
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._cancel_asked: set[UUID] = set()
        self._flow_names: dict[UUID, str] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def serve(self, stopping: asyncio.Event) -> bool:
        """Work until `stopping` is set. True when nothing was left running, else the process must end at once.

        Raises: Refused when another worker of this host is running.
        """
        with host_lock(self.places, self.host):
            await server_answers()
            async with AsyncClientContext():
                await self.setup()
                self._loops = [asyncio.create_task(loop) for loop in self._everlasting()]
                await stopping.wait()
                for loop in self._loops:
                    loop.cancel()
                if self._running:
                    await asyncio.wait(self._running.values(), timeout=GRACE_S)
                if self._running:
                    return False
                await self.teardown(None, None, None)
                return True

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: anyio.abc.TaskStatus[Any] | None = None,
    ) -> BaseWorkerResult:
        """Prefect's official hook, which `_submit_run` makes unnecessary: run a claimed flow run here."""
        if task_status is not None:
            task_status.started(None)
        await self._run_here(flow_run)
        return BaseWorkerResult(identifier=f"{self.host}:{os.getpid()}", status_code=0)

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Claim a run that the poll found, which is atomic on the server, and run it.

        Prefect's own way reads the deployment and a job configuration before, stores what was submitted where after,
        and tells of it in events: five requests more for each dispatch, and nothing of that says anything to us.
        """
        try:
            if await self._propose_pending_state(flow_run):
                await self._run_or_say_why_not(flow_run)
        finally:
            self._release_limit_slot(flow_run.id)
            self._submitting_flow_run_ids.discard(flow_run.id)

    async def _run_or_say_why_not(self, flow_run: FlowRun) -> None:
        try:
            await self._run_here(flow_run)
        except Exception as error:
            # Whatever one run meets, it must not end the group in which the others run.
            self._logger.exception("flow run %s could not be run", flow_run.id)
            await self._propose_crashed_state(flow_run, f"The worker could not run it: {error!r}")

    async def _run_here(self, flow_run: FlowRun) -> None:
        """Run to the end; a run that is cancelled counts as over only when its code has ended."""
        flow = self.flows.get(await self._flow_name(flow_run))
        if flow is None:
            message = f"The flow {self._flow_names[flow_run.flow_id]!r} is not installed on {self.host}"
            await self.client.set_flow_run_state(flow_run.id, Failed(message=message), force=True)
            return
        task = asyncio.create_task(run_in_this_loop(flow, flow_run, self._cancel_asked))
        self._running[flow_run.id] = task
        self._submitting_flow_run_ids.discard(flow_run.id)  # from now on, the poll may find a retry of it
        if flow_run.id in self._cancel_asked:
            task.cancel()
        try:
            await asyncio.wait([task])
        finally:
            self._running.pop(flow_run.id, None)
            self._cancel_asked.discard(flow_run.id)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._logger.debug("flow run %s ended with %r", flow_run.id, error)
            await self._close_unstarted(flow_run.id, error)

    async def _close_unstarted(self, flow_run_id: UUID, error: BaseException) -> None:
        """A run that failed before its engine took over, as with unknown parameters, says so instead of waiting on."""
        found = await self.client.read_flow_run(flow_run_id)
        if found.state is not None and found.state.is_pending():
            state: State[None] = Failed(message=f"It could not start: {error}")
            await self.client.set_flow_run_state(flow_run_id, state, force=True)

    async def _flow_name(self, flow_run: FlowRun) -> str:
        if flow_run.flow_id not in self._flow_names:
            self._flow_names[flow_run.flow_id] = (await self.client.read_flow(flow_run.flow_id)).name
        return self._flow_names[flow_run.flow_id]

    def _everlasting(self) -> list[Coroutine[Any, Any, None]]:
        jobs = [keep_running(job, self._logger) for job in self._background]
        poll = self._every(POLL_S, self._take_runs, woken_by=self._wake)
        heartbeat = self._every(HEARTBEAT_S, self._sync_and_initialize)
        return [poll, heartbeat, *jobs]

    async def _every(self, interval_s: float, work: Job, woken_by: asyncio.Event | None = None) -> None:
        """Do `work` for ever, at each interval or when woken. A server that is away is waited for, however long."""
        alarm = woken_by or asyncio.Event()
        while True:
            alarm.clear()
            pause_s = interval_s
            try:
                await work()
            except Exception as error:
                # Whatever a poll or heartbeat meets, the runs in this process must go on.
                self._logger.warning("%s failed, trying again: %r", work.__name__, error)
                pause_s = min(interval_s, 2.0)
            try:
                await asyncio.wait_for(alarm.wait(), pause_s)
            except TimeoutError:
                continue

    async def _take_runs(self) -> None:
        if not self._has_successfully_synced:
            self._wake.set()
            await asyncio.sleep(0.2)
            return
        if not self._prepared:
            await self._prepare_once()
        await self.get_and_submit_flow_runs()

    async def _prepare_once(self) -> None:
        await ensure_queues(self.client, sorted(self._work_queues))
        if self._prepare is not None:
            await self._prepare(self.client)
        for flow_run in await close_or_resume(self.client, POOL, sorted(self._work_queues), self.host):
            self._submitting_flow_run_ids.add(flow_run.id)
            self._group.start_soon(self._resume, flow_run)
        queues = sorted(self._work_queues)
        watching = watch_queues(self.client, POOL, queues, self._wake.set, self._cancel, self._resync)
        self._loops.append(asyncio.create_task(watching))
        self._prepared = True
        write_private(self.places.run / "worker.ready", f"{self.host} {os.getpid()}\n")

    @property
    def _group(self) -> anyio.abc.TaskGroup:
        assert self._runs_task_group is not None, "the worker has been set up"
        return self._runs_task_group

    async def _resume(self, flow_run: FlowRun) -> None:
        try:
            await self._run_or_say_why_not(flow_run)
        finally:
            self._submitting_flow_run_ids.discard(flow_run.id)

    def _cancel(self, flow_run_id: UUID) -> None:
        if flow_run_id in self._cancel_asked:
            return
        if (task := self._running.get(flow_run_id)) is not None:
            self._cancel_asked.add(flow_run_id)
            task.cancel()
        elif flow_run_id in self._submitting_flow_run_ids:
            self._cancel_asked.add(flow_run_id)

    async def _resync(self) -> None:
        """After the websocket (re)connected: see to what was asked while nobody listened."""
        self._wake.set()
        busy = {*self._running, *self._submitting_flow_run_ids}
        for flow_run_id in await close_cancelled(self.client, POOL, sorted(self._work_queues), busy):
            self._cancel(flow_run_id)


async def server_answers() -> None:
    """Return once the Prefect API answers, however long that takes."""
    async with httpx.AsyncClient(timeout=5.0) as probe:
        while True:
            try:
                if (await probe.get(f"{PREFECT_API_URL.value()}/health")).is_success:
                    return
            except httpx.TransportError as error:
                _log.debug("waiting for the Prefect API: %r", error)
            await asyncio.sleep(0.5)


async def ensure_queues(client: PrefectClient, queues: Sequence[str]) -> None:
    """Afterwards the work pool and these queues exist; existing ones are left as they are."""
    try:
        await client.read_work_pool(POOL)
    except ObjectNotFound:
        try:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type=HostWorker.type))
        except ObjectAlreadyExists:
            return await ensure_queues(client, queues)
    for queue in queues:
        try:
            await client.read_work_queue_by_name(queue, work_pool_name=POOL)
        except ObjectNotFound:
            try:
                await client.create_work_queue(name=queue, work_pool_name=POOL)
            except ObjectAlreadyExists:
                continue
    return None
