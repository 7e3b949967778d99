"""A flow that is cancelled while it sends another one to a host."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import StateType

from stampede.deployments.host_worker import ensure_queues
from stampede.tasks.on_host import on_host
from tests.flows.server import Server


@flow(name="work")
async def work() -> None:
    """No worker serves the host of this test, so it never runs."""


@flow(name="send")
async def send(step: str) -> None:
    await on_host("nowhere", work, step=step)


async def test_a_run_that_the_server_was_just_making_is_cancelled_too(
    server: Server, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, answered, ask = asyncio.Event(), asyncio.Event(), PrefectClient.request

    async def late(client: PrefectClient, method: Any, path: Any, **more: Any) -> httpx.Response:
        answer = await ask(client, method, path, **more)
        if (method, path) == ("POST", "/flow_runs/") and more["json"]["name"] == stack:
            made.set()
            await answered.wait()
        return answer

    monkeypatch.setattr(PrefectClient, "request", late)
    with server.as_api():
        async with get_client() as client:
            await ensure_queues(client, ["nowhere"])
        sending = asyncio.create_task(send(stack))
        await asyncio.wait([sending, asyncio.create_task(made.wait())], return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
        asyncio.get_running_loop().call_later(0.05, answered.set)
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with get_client() as client:
            (run,) = await client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[stack])))
    assert run.state_type is StateType.CANCELLED
