"""Flows for the benchmarks, installed beside Stampede's own in the worker of the benchmarks' control plane."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from prefect import flow
from prefect.flows import Flow

from stampede import flows
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.on_host import on_host


@flow(name="nothing", persist_result=True)
async def nothing(number: int) -> int:
    """What a host does for a dispatch that is measured."""
    return number


@flow(name="time-dispatches", persist_result=True)
async def time_dispatches(one_by_one: int, at_once: int) -> dict[str, list[float]]:
    """Seconds of dispatches to a host and back, first one after the other, then for all that are started together."""
    (host,) = await schedulable_hosts()
    single = []
    for number in range(one_by_one):
        began = time.perf_counter()
        await on_host(host, nothing, step=f"single {number}", number=number)
        single.append(time.perf_counter() - began)
    began = time.perf_counter()
    together = (on_host(host, nothing, step=f"together {number}", number=number) for number in range(at_once))
    await asyncio.gather(*together)
    return {"single": single, "together": [time.perf_counter() - began]}


VERBS: tuple[Flow[..., Any], ...] = (*flows.VERBS, time_dispatches)
FLOWS: dict[str, Flow[..., Any]] = {**flows.FLOWS, nothing.name: nothing, time_dispatches.name: time_dispatches}
