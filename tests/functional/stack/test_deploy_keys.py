"""Keys of `deploy` that show only when a stack changes: global mode, waves, order, the way back."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from stampede.planning.identity import STACK
from tests.lab.stacks import LabStack, sleeper, web

pytestmark = pytest.mark.functional
NEVER = {"test": ["CMD", "false"], "interval": "1s", "retries": 1}


def starts(stack: LabStack, service: str) -> list[float]:
    """When the containers of a service started, in seconds, earliest first."""
    said = [str(c.attrs["State"]["StartedAt"]) for c in stack.containers(service)]
    return sorted(datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp() for text in said)


def policy(**update: Any) -> dict[str, Any]:
    return {"replicas": 3, "update_config": {"monitor": "0s", **update}}


def test_global_mode_runs_one_instance_on_every_host(stack: LabStack) -> None:
    stack.up({"agent": sleeper(deploy={"mode": "global"})})
    assert stack.names() == ["agent-1"]


def test_max_replicas_per_node(stack: LabStack) -> None:
    def wanted(replicas: int) -> dict[str, Any]:
        return {"web": sleeper(deploy={"replicas": replicas, "placement": {"max_replicas_per_node": 2}})}

    stack.up(wanted(2))
    assert stack.names() == ["web-1", "web-2"]
    before = stack.ids()
    stack.write(wanted(3))
    refused = stack.do("up", code=2)
    assert "services.web.deploy.placement.max_replicas_per_node: 3 replicas do not fit on one host" in refused.err
    assert stack.ids() == before


def test_replicas_are_updated_in_waves_with_a_pause(stack: LabStack) -> None:
    stack.up({"web": sleeper(deploy=policy(parallelism=2, delay="3s"))})
    stack.up({"web": sleeper(deploy=policy(parallelism=2, delay="3s"), environment={"VERSION": "2"})})
    first, second, last = starts(stack, "web")
    assert last - second >= 3.0, "the second wave waited"
    assert second - first < last - second, "the first wave went together"


def test_stop_first_stops_the_old_one_before_the_new_one_starts(stack: LabStack) -> None:
    deploy = policy(order="stop-first") | {"replicas": 1}
    stack.up({"db": sleeper(deploy=deploy)})
    (old,) = stack.ids("db")
    begun = int(time.time())
    plan = stack.up({"db": sleeper(deploy=deploy, environment={"VERSION": "2"})})
    assert "stop-first" in plan["changes"][0]["reason"]
    happened = stack.docker.events(
        since=begun, until=int(time.time()) + 1, decode=True, filters={"label": f"{STACK}={stack.name}"}
    )
    order = [(event["Action"], event["id"] == old) for event in happened if event["Action"] in ("die", "start")]
    assert order == [("die", True), ("start", False)]


def test_the_way_back_follows_rollback_config(stack: LabStack) -> None:
    going = policy(parallelism=0, failure_action="rollback", order="stop-first")
    deploy = going | {"rollback_config": {"parallelism": 1, "delay": "2s", "monitor": "0s", "order": "stop-first"}}
    stack.up({"web": web("one", deploy=deploy)})
    stack.write({"web": web("two", deploy=deploy, healthcheck=NEVER)})
    assert "back at revision 1" in stack.do("up", code=1).err
    first, second, third = starts(stack, "web")
    assert min(second - first, third - second) >= 2.0, "one after the other, with a pause, although they went together"
