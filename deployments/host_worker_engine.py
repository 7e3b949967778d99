"""Runs one claimed flow run in the worker's own event loop, with Prefect's engine and two differences.

This and `host_worker*.py` beside it are the only modules, with `tasks/on_host.py`, that use Prefect's internals.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect._flow_run_suspension import FlowRunSuspensionRequest
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.flow_engine import _flow_parameters as flow_parameters  # pyright: ignore[reportPrivateUsage]
from prefect.flows import Flow


@dataclass
class HostEngine(AsyncFlowRunEngine[..., Any]):
    """Prefect's engine for async flows, with two differences.

    A task that was cancelled because somebody cancelled the run ends as Cancelled, hooks included, not as Crashed. And
    no observer of suspensions is started for deployment runs: it blocks the loop that it is started on.
    """

    cancel_asked: set[UUID] = field(default_factory=set)

    async def handle_crash(self, exc: BaseException) -> None:
        if self.flow_run is not None and self.flow_run.id in self.cancel_asked:
            await self.handle_cancellation(exc)
        else:
            await super().handle_crash(exc)

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Iterator[FlowRunSuspensionRequest]:
        yield self._get_flow_run_suspension_request()


async def run_in_this_loop(flow: Flow[..., Any], flow_run: FlowRun, cancel_asked: set[UUID]) -> None:
    """Run to a final state, which the engine reports. Raises: what the flow raised, asyncio.CancelledError."""
    engine = HostEngine(
        flow=flow,
        flow_run=flow_run,
        parameters=flow_parameters(flow=flow, flow_run=flow_run, parameters=None),
        cancel_asked=cancel_asked,
    )
    async with engine.start():
        while engine.is_running():
            async with engine.run_context():
                await engine.call_flow_fn()  # type: ignore[unused-coroutine]  # its annotation says Coroutine twice
