"""Commands, the client and curl against a real control plane and real containers. The tests build on each other."""

from __future__ import annotations

import json

import pytest

from stampede.client import Client, ScaleService
from stampede.control_plane import connect
from stampede.errors import BadInput
from stampede.programs import run
from tests.functional.cli.conftest import Shell

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]


def names(shell: Shell) -> list[str]:
    return [each["name"].rpartition("-")[0] for each in shell.json("ps")]


def test_up_deploys_and_a_second_up_changes_nothing(shell: Shell) -> None:
    first = shell.json("up", "--why", "first")
    assert first["revision"] == 1
    assert {f"{shell.stack}-web-1", f"{shell.stack}-web-2"} <= set(first["changed"])
    second = shell.json("up")
    assert (second["changed"], second["revision"]) == ([], 1)
    assert len(second["unchanged"]) >= 2


def test_ps_lists_what_runs(shell: Shell) -> None:
    rows = shell.json("ps")
    assert [(each["service"], each["state"], each["revision"], each["host"]) for each in rows] == [
        ("web", "running", 1, "cli-host")
    ] * 2


def test_plan_says_what_would_change_and_why(shell: Shell) -> None:
    changes = shell.json("plan", env={"GREETING": "hi"})["changes"]
    assert {each["action"] for each in changes} == {"replace"}
    assert all(each["reason"] for each in changes)
    assert shell.json("plan")["changes"] == []


def test_logs_name_the_instance_on_each_line(shell: Shell) -> None:
    lines = shell("logs", "--tail", "1").out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{shell.stack}-web-") and line.endswith("| tick") for line in lines)
    assert len(shell("logs", "web.2", "--tail", "1").out.splitlines()) == 1


def test_exec_runs_in_the_instance_and_ends_with_its_exit_code(shell: Shell) -> None:
    ended = shell("exec", "web.1", "sh", "-c", "echo $GREETING; exit 7", check=False)
    assert (ended.code, ended.out) == (7, "hello\n")


def test_scale_and_rollback(shell: Shell) -> None:
    assert shell.json("scale", "web=3")["changed"] == [f"{shell.stack}-web-3"]
    assert len(shell.json("ps")) == 3
    assert shell.json("rollback", "1")["removed"] == [f"{shell.stack}-web-3"]


def test_an_unknown_service_is_bad_input(shell: Shell) -> None:
    ended = shell("scale", "wob=3", check=False)
    assert ended.code == 2
    assert "has no service wob" in ended.err


def test_history_tells_who_did_what_and_how_it_ended(shell: Shell) -> None:
    entries = shell.json("history")
    assert entries[0]["verb"] == "scale-service"
    assert entries[0]["outcome"] == "failed"
    assert entries[1]["verb"] == "rollback-stack"
    assert entries[1]["revision"] == 1
    assert [each["revision"] for each in entries if each["verb"] == "scale-service"] == [None, 2]
    assert [each["revision"] for each in entries if each["verb"] == "deploy-stack"] == [1, 1]
    assert entries[-1]["why"] == "first"
    assert all(each["by"] for each in entries)


def test_curl_starts_a_verb_once_and_its_result_can_be_followed(shell: Shell) -> None:
    api, auth = connect(shell.places)
    curl, login = ["curl", "-sf", "--config", "-"], f'user = "{auth}"'
    found = run([*curl, f"{api}/deployments/name/scale-service/any"], stdin=login).out
    body = {"parameters": {"stack": shell.stack, "replicas": {"web": 1}}, "idempotency_key": "from-curl"}
    create = [
        *(*curl, f"{api}/deployments/{json.loads(found)['id']}/create_flow_run"),
        *("-H", "Content-Type: application/json", "-d", json.dumps(body)),
    ]
    first, again = (json.loads(run(create, stdin=login).out)["id"] for _ in range(2))
    assert first == again
    assert shell.json("follow", first)["removed"] == [f"{shell.stack}-web-2"]


def test_without_the_password_nothing_is_started(shell: Shell) -> None:
    api, _ = connect(shell.places)
    refused = run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{api}/deployments/name/deploy-stack/any"])
    assert refused.out == "401"
    assert shell("ps", "--server", api, check=False).code == 2


def test_the_client_starts_waits_and_refuses_what_the_flow_does_not_know(shell: Shell) -> None:
    with Client(*connect(shell.places)) as client:
        run_of_it = client.start(ScaleService(stack=shell.stack, replicas={"web": 2}))
        assert [change.name for change in client.wait(run_of_it.id).changes] == [f"{shell.stack}-web-2"]
        with pytest.raises(BadInput):
            client.scale(shell.stack, {"wob": 1})
        assert len(client.ps(shell.stack)) >= 1


@pytest.mark.parametrize("words", [[], ["--remove"]])
def test_the_demo_leaves_a_stack_of_its_name_alone_that_is_not_its_own(shell: Shell, words: list[str]) -> None:
    before = names(shell)
    ended = shell.script("demo", *words, env={"SHOP_NAME": shell.stack})
    assert ended.code == 1
    assert f"there is a stack {shell.stack} which is not of this demo" in ended.err
    assert "hint: SHOP_NAME=" in ended.err
    assert names(shell) == before != []


def test_export_and_import(shell: Shell) -> None:
    shell("server", "export", "copy.json")
    copy = json.loads((shell.folder / "copy.json").read_text())
    assert f"{shell.stack}-r1" in [each["name"] for each in copy["documents"]]
    assert "imported 0" in shell("server", "import", "copy.json").out


def test_down_leaves_nothing_running(shell: Shell) -> None:
    assert len(shell.json("down", "--volumes", "--yes")["removed"]) >= 2
    assert names(shell) == []


def test_server_status_names_its_processes(shell: Shell) -> None:
    status = shell.json("server", "status")
    assert status["healthy"] is True
    assert {"server", "worker"} <= {each["name"] for each in status["processes"]}
    assert all(each["pid"] > 1 for each in status["processes"])
