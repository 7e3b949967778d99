"""Services that need each other: what starts when, what runs once, what follows whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from docker.models.containers import Container

from tests.lab.stacks import Definition, LabStack, inside, page, sleeper, web

pytestmark = pytest.mark.functional


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00")


def started(container: Container) -> datetime:
    return moment(container.attrs["State"]["StartedAt"])


def job(command: str, **more: Any) -> Definition:
    return sleeper(command=["sh", "-c", command], **more)


def test_a_service_starts_when_the_one_it_needs_is_healthy(stack: LabStack) -> None:
    needs: Definition = {"depends_on": {"db": {"condition": "service_healthy"}}}
    stack.up({"web": web("one", **needs), "db": web("db", delay_s=3)})
    (db,), (first,) = stack.containers("db"), stack.containers("web")
    assert (started(first) - started(db)).total_seconds() >= 3


def test_an_optional_dependency(stack: LabStack) -> None:
    needs: Definition = {"depends_on": {"db": {"condition": "service_healthy", "required": False}}}
    services = {"web": web("one", **needs), "db": web("db", profiles=["debug"])}
    stack.up(services)
    assert stack.names() == ["web-1"]
    stack.up(services, "--profile", "debug")
    assert stack.names() == ["db-1", "web-1"]


def test_a_job_that_others_wait_for_runs_once(stack: LabStack) -> None:
    waits: Definition = {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}}
    services = {"web": web("one", **waits), "migrate": job("sleep 2; echo migrated")}
    stack.up(services)
    (migrate,), (first,) = stack.containers("migrate"), stack.containers("web")
    assert (migrate.status, migrate.attrs["State"]["ExitCode"]) == ("exited", 0)
    assert (started(first) - started(migrate)).total_seconds() >= 2
    assert stack.up()["changed"] == []
    stack.up(services | {"web": web("two", **waits)})
    assert stack.ids("migrate") == [str(migrate.id)], "it has done what it had to do"


def test_a_job_that_fails_makes_the_deploy_fail_and_nothing_starts_that_waits_for_it(stack: LabStack) -> None:
    waits: Definition = {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}}
    stack.write({"web": web("one", **waits), "migrate": job("echo no such table; exit 5")})
    failed = stack.do("up", code=1)
    assert "exit code 5" in failed.err
    assert stack.containers("web") == []
    stack.up({"web": web("one", **waits), "migrate": job("true")})
    assert stack.names("web") == ["web-1"]


def test_a_one_off_that_nobody_waits_for_and_fails_makes_the_deploy_fail(stack: LabStack) -> None:
    stack.write({"once": job("exit 4")})
    assert "exit code 4" in stack.do("up", code=1).err


def test_depends_on_restart_restarts_the_one_that_depends(stack: LabStack) -> None:
    needs: Definition = {"depends_on": {"db": {"condition": "service_started", "restart": True}}}
    stack.up({"web": web("one", **needs), "db": sleeper()})
    (before,) = stack.containers("web")
    did = stack.up({"web": web("one", **needs), "db": sleeper(environment={"NEW": "1"})})
    reasons = {change["name"]: change for change in did["changes"]}
    assert reasons[f"{stack.name}-web-1"]["action"] == "restart"
    assert "db" in reasons[f"{stack.name}-web-1"]["reason"]
    (after,) = stack.containers("web")
    assert after.id == before.id
    assert started(after) > started(before)


def test_a_service_that_lives_in_the_network_of_another_follows_it(stack: LabStack, free_port: int) -> None:
    ask = ("wget", "-qO-", "http://127.0.0.1/")
    sidecar = sleeper(network_mode="service:web")
    stack.up({"web": web("one", free_port), "sidecar": sidecar})
    (beside,) = stack.containers("sidecar")
    assert inside(beside, *ask) == "one"
    stack.up({"web": web("two", free_port), "sidecar": sidecar})
    assert page(free_port) == "two"
    assert stack.names() == ["sidecar-1", "web-1"]
    (beside,) = stack.containers("sidecar")
    assert beside.status == "running"
    assert inside(beside, *ask) == "two", "in the network of the new one"
    assert stack.up()["changed"] == []


def test_services_find_each_other_by_name_and_alias(stack: LabStack) -> None:
    stack.up({"web": web("one", networks={"default": {"aliases": ["shop"]}}), "db": sleeper()})
    (db,) = stack.containers("db")
    assert inside(db, "wget", "-qO-", "http://web/") == "one"
    assert inside(db, "wget", "-qO-", "http://shop/") == "one"


def test_the_plan_says_which_order_and_why(stack: LabStack) -> None:
    services = {"web": web(), "db": sleeper(volumes=["data:/data"]), "named": sleeper(container_name=f"{stack.name}.n")}
    stack.up(services, volumes={"data": {}})
    changed = {name: service | {"environment": {"VERSION": "two"}} for name, service in services.items()}
    stack.write(changed, volumes={"data": {}})
    reasons = {change["name"]: change["reason"] for change in stack.do("plan").json["changes"]}
    assert "stop-first" not in reasons[f"{stack.name}-web-1"]
    assert "stop-first: it writes to data" in reasons[f"{stack.name}-db-1"]
    assert "stop-first: container_name" in reasons[f"{stack.name}-named-1"]
    stack.do("up")
    assert stack.names() == ["db-1", "named-1", "web-1"]
