"""The client against a fake of Prefect's API on a real socket."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stampede.client import Client, DeployStack, RollbackStack, Run
from stampede.client.instances import read_instances
from stampede.errors import (
    BadInput,
    Cancelled,
    ServerUnreachable,
    StackLocked,
    StampedeError,
    UnknownName,
    UpdateFailed,
)
from tests.fakes.prefect_api import AUTH, FakePrefect

REPLACED = {
    "stack": "shop",
    "revision": 4,
    "changes": [{"action": "replace", "kind": "instance", "name": "shop-web-1", "reason": "image changed"}],
    "unchanged": ["shop-db-1"],
    "removed": [],
    "warnings": [],
    "dry_run": False,
}


def seen_by(prefect: FakePrefect, flow: str, answer: Any) -> list[dict[str, Any]]:
    """Let `flow` return `answer`, and keep what it was asked."""
    asked: list[dict[str, Any]] = []

    def play(parameters: dict[str, Any]) -> Any:
        asked.append(parameters)
        if isinstance(answer, Exception):
            raise answer
        return answer

    prefect.play(flow, play)
    return asked


def test_deploy_sends_the_document_and_returns_the_outcome(prefect: FakePrefect, client: Client) -> None:
    asked = seen_by(prefect, "deploy-stack", REPLACED)
    outcome = client.deploy("shop", document={"name": "shop", "services": {}}, why="release 7")
    assert outcome.revision == 4
    assert [change.name for change in outcome.changes] == ["shop-web-1"]
    assert asked[0]["requested_by"] == "ann@desk"
    assert asked[0]["why"] == "release 7"
    stored = prefect.documents[f"stampede-candidate/{asked[0]['candidate']}"]["data"]
    assert stored["stack"] == "shop"
    assert stored["by"] == "ann@desk"
    assert stored["content"] == '{"name": "shop", "services": {}}'


def test_no_content_of_the_document_is_among_the_parameters(prefect: FakePrefect, client: Client) -> None:
    asked = seen_by(prefect, "deploy-stack", REPLACED)
    client.deploy("shop", document={"name": "shop", "secrets": {"k": {"content": "s3cr3t"}}})
    assert "s3cr3t" not in str(asked)


def test_deploy_with_images_names_no_candidate(prefect: FakePrefect, client: Client) -> None:
    asked = seen_by(prefect, "deploy-stack", REPLACED)
    client.deploy("shop", images={"web": "registry.example/web:2"})
    assert asked[0]["images"] == {"web": "registry.example/web:2"}
    assert "candidate" not in asked[0]


def test_a_stack_with_an_underscore_can_be_sent(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    assert client.send("my_shop", {}).startswith("my-shop-")


def test_the_stacks_own_deployment_comes_before_the_generic_one(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "scale-service", REPLACED)
    prefect.per_stack.add("shop")
    client.scale("shop", {"web": 5})
    assert "POST /api/deployments/scale-service@shop/create_flow_run" in prefect.requests
    client.scale("other", {"web": 5})
    assert "POST /api/deployments/scale-service@any/create_flow_run" in prefect.requests


def test_what_is_left_out_is_left_to_the_flow(prefect: FakePrefect, client: Client) -> None:
    asked = seen_by(prefect, "deploy-stack", REPLACED)
    client.wait(client.start(DeployStack(stack="shop")))
    assert asked == [{"stack": "shop"}]


def test_every_verb_starts_its_flow(prefect: FakePrefect, client: Client) -> None:
    asked = {
        flow: seen_by(prefect, flow, REPLACED)
        for flow in ("scale-service", "rollback-stack", "restart-service", "remove-stack", "plan-stack")
    }
    client.scale("shop", {"web": 5})
    client.rollback("shop", 3)
    client.restart("shop", ["web"])
    client.remove("shop", volumes=True)
    client.plan("shop", {"name": "shop"})
    assert asked["scale-service"][0]["replicas"] == {"web": 5}
    assert asked["rollback-stack"][0]["revision"] == 3
    assert asked["restart-service"][0]["services"] == ["web"]
    assert asked["remove-stack"][0]["volumes"] is True
    assert asked["plan-stack"][0]["candidate"].startswith("shop-")


@pytest.mark.parametrize(
    "error",
    [StackLocked("shop is being changed", "wait"), UpdateFailed("web is unhealthy"), UnknownName("no service wob")],
)
def test_a_failed_run_raises_the_error_that_ended_it(
    prefect: FakePrefect, client: Client, error: StampedeError
) -> None:
    seen_by(prefect, "scale-service", error)
    with pytest.raises(type(error)) as caught:
        client.scale("shop", {"web": 5})
    assert (caught.value.message, caught.value.hint) == (error.message, error.hint)


def test_a_crashed_run_says_that_the_verb_can_be_run_again(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "scale-service", None)
    prefect.crash = True
    with pytest.raises(StampedeError, match="crashed"):
        client.scale("shop", {"web": 5})


def test_a_cancelled_run_raises_cancelled(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    prefect.take_s = 60.0
    run = client.start(DeployStack(stack="shop"))
    client.cancel(run)
    with pytest.raises(Cancelled):
        client.wait(run)


def test_waiting_longer_than_asked_leaves_the_run_alone(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    prefect.take_s = 60.0
    run = client.start(DeployStack(stack="shop"))
    with pytest.raises(StampedeError, match="has not ended within"):
        client.wait(run, timeout_s=0.2)
    assert client.read_run(run.id).state == "Running"


def test_a_watcher_sees_steps_and_the_end(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    prefect.take_s = 1.5
    run = client.start(DeployStack(stack="shop"))
    task = {"id": "t1", "name": "ensure container shop-web-1", "state_type": "RUNNING", "state_name": "Running"}
    prefect.steps[run.id] = [task]
    seen: list[Run] = []
    client.wait(run, watch=seen.append)
    assert [step.name for step in seen[0].steps] == ["ensure container shop-web-1"]
    assert seen[-1].is_final


def test_a_quick_run_is_noticed_quickly(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    prefect.take_s = 0.2
    took: list[float] = []
    for _ in range(5):
        began = time.monotonic()
        client.deploy("shop", images={"web": "x"})
        took.append(time.monotonic() - began)
    assert min(took) < 0.6


def test_a_wrong_password_is_bad_input(prefect: FakePrefect) -> None:
    with Client(prefect.url, "admin:wrong") as client, pytest.raises(BadInput, match="password"):
        client.ps()


def test_the_password_may_stand_in_the_url(prefect: FakePrefect) -> None:
    with Client(prefect.url.replace("http://", f"http://{AUTH}@")) as client:
        assert client.ps() == []
        assert AUTH not in client.api.url


def test_a_busy_server_is_asked_again(prefect: FakePrefect, client: Client) -> None:
    prefect.busy = 2
    assert client.ps() == []


def test_a_server_that_is_down_is_unreachable() -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(ServerUnreachable):
        client.ps()


def test_an_address_that_is_none_is_bad_input() -> None:
    with pytest.raises(BadInput):
        Client("shop.example")


def test_parameters_that_do_not_fit_are_bad_input(prefect: FakePrefect, client: Client) -> None:
    def refuses(parameters: dict[str, Any]) -> None:
        raise TypeError("revision must be a number")

    prefect.play("rollback-stack", refuses)
    with pytest.raises(BadInput, match="revision must be a number"):
        client.rollback("shop")


def test_a_parameter_that_the_server_does_not_know_is_bad_input(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "rollback-stack", REPLACED)
    prefect.known_parameters["rollback-stack"] = {"stack", "revision", "requested_by"}
    client.wait(client.start(RollbackStack(stack="shop")))
    with pytest.raises(BadInput, match="wait_for_lock_s"):
        client.start(RollbackStack(stack="shop", wait_for_lock_s=3.0))


def test_a_server_without_workers_says_so(client: Client) -> None:
    with pytest.raises(StampedeError, match="no deployment deploy-stack/any"):
        client.deploy("shop", images={"web": "x"})


def test_an_unknown_run_is_an_unknown_name(client: Client) -> None:
    for run in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(UnknownName):
            client.read_run(run)


def instance(**values: Any) -> dict[str, Any]:
    """An instance as a host reports it."""
    return {
        "id": "c1",
        "name": "shop-web-1-abcdef",
        "host": "h1",
        "stack": "shop",
        "service": "web",
        "slot": 1,
        "revision": 4,
        "spec_hash": "v1:abcdef",
        "state": "running",
        "health": "healthy",
        "image": "web:1",
        "addresses": {"shop_default": "10.42.0.2"},
        "created_at": "2026-01-01T00:00:00Z",
        **values,
    }


def report(prefect: FakePrefect, host: str, at: datetime, *instances: dict[str, Any]) -> None:
    data = {"host": host, "at": at.isoformat(), "report": {"host": host, "instances": list(instances)}}
    prefect.put_document("stampede-host-report", host, data)


def test_ps_shows_what_hosts_report(prefect: FakePrefect, client: Client) -> None:
    now = datetime.now(UTC)
    report(prefect, "h2", now, instance(slot=2, host="h2"), instance(stack="blog", host="h2"))
    report(prefect, "h1", now, instance())
    assert [(each.stack, each.slot, each.host) for each in client.ps()] == [
        ("blog", 1, "h2"),
        ("shop", 1, "h1"),
        ("shop", 2, "h2"),
    ]
    assert [each.addresses for each in client.ps("shop")] == [{"shop_default": "10.42.0.2"}] * 2
    assert client.stacks() == ["blog", "shop"]


def test_instances_of_a_silent_host_are_unknown(prefect: FakePrefect, client: Client) -> None:
    now = datetime.now(UTC)
    report(prefect, "h1", now - timedelta(seconds=91), instance())
    assert [(each.state, each.health) for each in read_instances(client.api, now=now)] == [("unknown", "unknown")]


def test_history_joins_revisions_with_their_runs_and_shows_failed_ones(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    seen_by(prefect, "scale-service", UpdateFailed("no"))
    seen_by(prefect, "plan-stack", REPLACED)
    run = client.start(DeployStack(stack="shop", requested_by="ann@desk"))
    with pytest.raises(UpdateFailed):
        client.scale("shop", {"web": 5}, why="black friday")
    client.plan("shop", {})
    revision = {
        "stack": "shop",
        "number": 1,
        "created": "2026-01-01T00:00:00+00:00",
        "by": "ann@desk",
        "run": run.id,
        "images": {"web": "web:1"},
        "content": "secret",
    }
    prefect.put_document("stampede-revision", "shop-r1", revision)
    entries = client.history("shop")
    assert [(each.revision, each.verb, each.outcome) for each in entries] == [
        (None, "scale-service", "failed"),
        (1, "deploy-stack", "completed"),
    ]
    assert entries[0].why == "black friday"
    assert entries[1].images == {"web": "web:1"}


def test_history_says_to_which_revision_a_rollback_went(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "rollback-stack", REPLACED)
    client.rollback("shop")
    assert [(each.revision, each.verb) for each in client.history("shop")] == [(4, "rollback-stack")]


def test_history_says_to_which_revision_a_rollback_that_failed_was_to_go(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "rollback-stack", UpdateFailed("no"))
    with pytest.raises(UpdateFailed):
        client.rollback("shop", 2)
    assert [(each.revision, each.outcome) for each in client.history("shop")] == [(2, "failed")]


def test_history_says_which_revision_serves_after_runs_that_made_none(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    seen_by(prefect, "restart-service", REPLACED)
    client.deploy("shop")
    client.restart("shop")
    prefect.requests.clear()
    entries = client.history("shop")
    assert [(each.revision, each.verb) for each in entries] == [(4, "restart-service"), (4, "deploy-stack")]
    assert prefect.requests.count("POST /api/artifacts/filter") == 1


def test_unlock_cancels_the_holder_and_frees_the_lock(prefect: FakePrefect, client: Client) -> None:
    seen_by(prefect, "deploy-stack", REPLACED)
    prefect.take_s = 60.0
    run = client.start(DeployStack(stack="shop"))
    prefect.put_variable("lock-shop", {"run": run.id, "why": "deploy", "since": "2026-01-01T00:00:00+00:00"})
    lock = client.lock("shop")
    assert lock is not None
    client.unlock(lock, within_s=2.0)
    assert client.lock("shop") is None
    assert client.read_run(run.id).kind == "CANCELLED"


def test_unlock_leaves_a_lock_that_was_taken_since(prefect: FakePrefect, client: Client) -> None:
    prefect.put_variable("lock-shop", {"run": "00000000-0000-0000-0000-000000000000", "why": "deploy"})
    lock = client.lock("shop")
    assert lock is not None
    del prefect.variables["lock-shop"]
    prefect.put_variable("lock-shop", {"run": "11111111-0000-0000-0000-000000000000", "why": "scale"})
    client.unlock(lock)
    later = client.lock("shop")
    assert later is not None
    assert later.why == "scale"
