"""The steps of a run as people see them: its tasks, and the flows that hosts run for it, with their tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stampede.client.api import PAGE, PrefectApi

DEPTH = 3


@dataclass(frozen=True)
class Step:
    """One task or one flow on a host. `depth` says how far below the run it is."""

    id: str
    name: str
    kind: str
    state: str
    depth: int
    is_flow: bool = False
    started: str = ""
    run_time_s: float = 0.0

    @property
    def is_final(self) -> bool:
        return self.kind in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def read_steps(api: PrefectApi, run_id: str) -> tuple[Step, ...]:
    """All steps of a run that have begun, in their order, each flow followed by what it is made of."""
    links: dict[str, str] = {}
    children: dict[str, list[Step]] = {}
    level = [run_id]
    for depth in range(DEPTH):
        tasks = _filter(api, "/task_runs/filter", {"task_runs": {"flow_run_id": {"any_": level}}})
        flows = _filter(api, "/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": level}}})
        # The task run that links a child flow to its parent shows the same step again: only the flow is shown.
        linked = {flow["parent_task_run_id"] for flow in flows}
        owner = {task["id"]: task["flow_run_id"] for task in tasks}
        for task in tasks:
            if task["id"] not in linked:
                children.setdefault(task["flow_run_id"], []).append(_step(task, depth))
        for flow in flows:
            parent = owner.get(flow["parent_task_run_id"]) or links.get(flow["id"]) or level[0]
            children.setdefault(parent, []).append(_step(flow, depth, is_flow=True))
        level = [flow["id"] for flow in flows]
        if not level:
            break
    return tuple(_in_order(children, run_id))


def _in_order(children: dict[str, list[Step]], parent: str) -> list[Step]:
    ordered: list[Step] = []
    for step in sorted(children.get(parent, []), key=lambda each: each.started or "9"):
        ordered += [step, *_in_order(children, step.id)]
    return ordered


def _filter(api: PrefectApi, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.post(path, {**body, "limit": PAGE, "sort": "EXPECTED_START_TIME_DESC"})
    return found


def _step(run: dict[str, Any], depth: int, *, is_flow: bool = False) -> Step:
    return Step(
        id=run["id"],
        name=run.get("name") or "",
        kind=run.get("state_type") or "PENDING",
        state=run.get("state_name") or "Pending",
        depth=depth,
        is_flow=is_flow,
        started=run.get("start_time") or "",
        run_time_s=float(run.get("total_run_time") or 0.0),
    )
