"""What people do all day: deploy, look, scale, roll back, restart, remove."""

from __future__ import annotations

import getpass
import json

import pytest

from tests.lab.installation import until
from tests.lab.stacks import LabStack, inside, page, sleeper, web

pytestmark = pytest.mark.functional


@pytest.fixture
def app(stack: LabStack, free_port: int) -> tuple[LabStack, int]:
    """Two services, deployed once: `web` with two replicas, published over HTTP, and `db` with a named volume."""
    stack.up(definition("one", free_port), "--why", "first", volumes={"data": {}})
    return stack, free_port


def definition(version: str, port: int, replicas: int = 2) -> dict[str, dict[str, object]]:
    return {
        "web": web(version, port, deploy={"replicas": replicas}),
        "db": sleeper(volumes=["data:/data"]),
    }


def test_a_deploy_of_two_services_answers_behind_the_balancer(stack: LabStack, free_port: int) -> None:
    did = stack.up(definition("one", free_port), volumes={"data": {}})
    assert page(free_port) == "one"
    assert stack.names() == ["db-1", "web-1", "web-2"]
    assert (did["stack"], did["revision"], did["unchanged"], did["removed"]) == (stack.name, 1, [], [])
    assert set(did["changed"]) >= {f"{stack.name}-web-1", f"{stack.name}-web-2", f"{stack.name}-db-1"}
    assert did["run"]["url"].endswith(did["run"]["id"])


def test_a_second_deploy_changes_nothing_and_makes_no_revision(app: tuple[LabStack, int]) -> None:
    stack, _ = app
    before = stack.ids()
    did = stack.up()
    assert (did["revision"], did["changed"], did["removed"]) == (1, [], [])
    assert sorted(did["unchanged"]) == sorted(f"{stack.name}-{name}" for name in ("db-1", "web-1", "web-2"))
    assert stack.ids() == before


def test_a_key_order_or_a_default_that_is_written_out_changes_nothing(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = stack.ids()
    services = definition("one", port)
    services["web"] = dict(reversed(services["web"].items())) | {"privileged": False, "tty": False}
    assert stack.up(services, volumes={"data": {}})["changed"] == []
    assert stack.ids() == before


def test_scaling_adds_and_removes_replicas_and_leaves_the_others_alone(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = stack.ids()
    did = stack.do("scale", "web=4").json
    assert stack.names("web") == ["web-1", "web-2", "web-3", "web-4"]
    assert set(did["changed"]) == {f"{stack.name}-web-3", f"{stack.name}-web-4"}
    assert set(before) < set(stack.ids())
    did = stack.do("scale", "web=1", "db=0").json
    assert stack.names() == ["web-1"]
    assert len(did["removed"]) == 4
    assert page(port) == "one"


def test_rolling_back_goes_to_the_revision_before_or_to_a_named_one(app: tuple[LabStack, int]) -> None:
    stack, port = app
    stack.up(definition("two", port), volumes={"data": {}})
    stack.up(definition("three", port), volumes={"data": {}})
    assert page(port) == "three"
    assert stack.do("rollback").json["revision"] == 2
    assert page(port) == "two"
    assert stack.do("rollback", "1").json["revision"] == 1
    assert page(port) == "one"
    stack.do("rollback", "3")
    assert page(port) == "three"


def test_restart_keeps_the_containers_and_starts_them_anew(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = {str(c.id): c.attrs["State"]["StartedAt"] for c in stack.containers()}
    did = stack.do("restart", "web").json
    after = {str(c.id): c.attrs["State"]["StartedAt"] for c in stack.containers()}
    assert did["changed"] == [f"{stack.name}-web-1", f"{stack.name}-web-2"]
    assert before.keys() == after.keys()
    restarted = {c.labels["stampede.service"] for c in stack.containers() if before[str(c.id)] != after[str(c.id)]}
    assert restarted == {"web"}
    assert page(port) == "one"


def test_down_keeps_named_volumes_and_a_later_deploy_finds_them(app: tuple[LabStack, int]) -> None:
    stack, _ = app
    (db,) = stack.containers("db")
    inside(db, "sh", "-c", "echo kept >/data/file")
    stack.do("down", "--yes")
    assert stack.containers() == []
    assert stack.docker.networks.list(filters={"label": f"stampede.stack={stack.name}"}) == []
    assert [v.name for v in stack.docker.volumes.list(filters={"label": f"stampede.stack={stack.name}"})] == [
        f"{stack.name}_data"
    ]
    stack.up()
    (db,) = stack.containers("db")
    assert inside(db, "cat", "/data/file") == "kept"
    stack.do("down", "--volumes", "--yes")
    assert stack.docker.volumes.list(filters={"label": f"stampede.stack={stack.name}"}) == []


def test_down_with_volumes_asks_first_where_nobody_can_answer_it_refuses(app: tuple[LabStack, int]) -> None:
    stack, port = app
    assert "--yes" in stack.do("down", "--volumes", code=6).err
    assert page(port) == "one"


def test_a_removed_stack_is_brought_back_by_rollback(app: tuple[LabStack, int]) -> None:
    stack, port = app
    stack.do("down", "--yes")
    stack.do("rollback", "1")
    assert page(port) == "one"
    assert stack.names() == ["db-1", "web-1", "web-2"]


def test_a_service_that_left_the_file_goes(app: tuple[LabStack, int]) -> None:
    stack, port = app
    did = stack.up({"web": web("one", port, deploy={"replicas": 2})})
    assert did["removed"] == [f"{stack.name}-db-1"]
    assert stack.names() == ["web-1", "web-2"]


def test_history_says_when_who_why_and_what_became_of_it(app: tuple[LabStack, int]) -> None:
    stack, port = app
    stack.do("scale", "web=3", "--why", "more load")
    stack.up(definition("two", port, replicas=3), "--dry-run", volumes={"data": {}})
    newest, first = stack.do("history").json
    assert (newest["revision"], newest["verb"], newest["why"], newest["outcome"]) == (
        2, "scale-service", "more load", "completed",
    )  # fmt: skip
    assert (first["revision"], first["verb"], first["why"]) == (1, "deploy-stack", "first")
    assert newest["by"].startswith(getpass.getuser())
    assert newest["created"] > first["created"]
    shown = stack.installation.run("history", cwd=stack.folder).out
    assert "more load" in shown


def test_a_dry_run_and_a_plan_say_what_would_change_and_change_nothing(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = stack.ids()
    stack.write(definition("two", port, replicas=3), volumes={"data": {}})
    plan = stack.do("plan").json
    changes = {change["name"]: (change["action"], change["reason"]) for change in plan["changes"]}
    assert changes[f"{stack.name}-web-1"][0] == "replace"
    assert "environment.VERSION" in changes[f"{stack.name}-web-1"][1]
    assert changes[f"{stack.name}-web-3"][0] == "create"
    assert plan["unchanged"] == [f"{stack.name}-db-1"]
    for dry in (stack.up(None, "--dry-run"), stack.do("scale", "web=5", "--dry-run").json):
        assert dry["dry_run"] is True
        assert dry["changed"]
    assert stack.do("down", "--dry-run").json["removed"]
    assert stack.ids() == before
    assert page(port) == "one"
    assert [entry["revision"] for entry in stack.do("history").json] == [1]


def test_ps_lists_instances_with_what_programs_need(app: tuple[LabStack, int]) -> None:
    stack, _ = app
    until(lambda: len(stack.ps()) == 3, "ps lists the instances")
    until(lambda: all(one["health"] == "healthy" for one in stack.ps() if one["service"] == "web"), "web is healthy")
    one = next(found for found in stack.ps() if found["service"] == "web")
    assert (one["stack"], one["kind"], one["host"], one["state"]) == (stack.name, "container", "h1", "running")
    assert (one["image"], one["revision"]) == ("stampede-test/busybox:1", 1)
    assert list(one["addresses"]) == [f"{stack.name}_default"]
    assert json.dumps(one)


def test_forced_recreation_replaces_everything_although_nothing_changed(app: tuple[LabStack, int]) -> None:
    stack, port = app
    before = set(stack.ids())
    stack.up(None, "--force-recreate")
    assert before.isdisjoint(stack.ids())
    assert stack.names() == ["db-1", "web-1", "web-2"]
    assert page(port) == "one"
