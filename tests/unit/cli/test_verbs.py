"""Verbs that change something: what they ask for, what they print, how they end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from stampede.cli import main, session
from stampede.errors import (
    HostUnreachable,
    NeedsAdoption,
    Refused,
    StackLocked,
    StampedeError,
    UnknownName,
    UpdateFailed,
)
from tests.fakes.prefect_api import FakePrefect
from tests.unit.cli.conftest import OUTCOME, Stampede


def keeping(prefect: FakePrefect, flow: str) -> list[dict[str, Any]]:
    """What `flow` will be asked."""
    asked: list[dict[str, Any]] = []

    def play(parameters: dict[str, Any]) -> Any:
        asked.append(parameters)
        return {**OUTCOME, "dry_run": bool(parameters.get("dry_run"))}

    prefect.play(flow, play)
    return asked


def test_up_says_what_it_did_and_why(stampede: Stampede) -> None:
    ended = stampede("up")
    assert ended.code == 0
    assert "replace   shop-web-1  image changed" in ended.out
    assert "shop: revision 4: 1 changed, 1 removed, 1 unchanged" in ended.out
    assert "warning: web has no healthcheck" in ended.err


def test_up_prints_one_object_for_programs(stampede: Stampede) -> None:
    ended = stampede("up", "--json")
    assert set(ended.json) >= {"stack", "revision", "changed", "unchanged", "removed", "run", "duration_s"}
    assert ended.json["stack"] == "shop"
    assert ended.json["revision"] == 4
    assert ended.json["changed"] == ["shop-web-1"]
    assert ended.json["unchanged"] == ["shop-db-1"]
    assert ended.json["removed"] == ["shop-old-1"]
    assert ended.json["run"]["url"].endswith(f"/runs/flow-run/{ended.json['run']['id']}")
    assert ended.json["duration_s"] >= 0


EJECT = ("eject", "--to", "/srv/shop", "--yes")


@pytest.mark.parametrize(
    "words", [("scale", "web=5"), ("rollback",), ("restart",), ("down",), ("adopt", "--yes"), EJECT]
)
def test_every_verb_prints_the_same_object(stampede: Stampede, words: tuple[str, ...]) -> None:
    assert stampede(*words, "--json").json["removed"] == ["shop-old-1"]


def test_up_passes_its_options_on(prefect: FakePrefect, stampede: Stampede) -> None:
    asked = keeping(prefect, "deploy-stack")
    stampede("up", "--pull", "always", "--build", "--force-recreate", "--dry-run", "--why", "v2", "--wait", "30", "-y")
    assert {key: asked[0][key] for key in ("pull", "build", "force_recreate", "dry_run", "why", "wait_for_lock_s")} == {
        "pull": "always",
        "build": True,
        "force_recreate": True,
        "dry_run": True,
        "why": "v2",
        "wait_for_lock_s": 30.0,
    }


def test_up_of_another_file_and_name(prefect: FakePrefect, stampede: Stampede, folder: Path) -> None:
    asked = keeping(prefect, "deploy-stack")
    (folder / "other.yaml").write_text("services: {a: {image: b}}")
    stampede("up", "-f", "other.yaml", "-p", "blog")
    assert asked[0]["stack"] == "blog"


def test_up_of_a_bad_file_is_bad_input_and_reaches_no_server(
    prefect: FakePrefect, stampede: Stampede, folder: Path
) -> None:
    (folder / "compose.yaml").write_text("services: {web: {imagge: x}}")
    ended = stampede("up")
    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert "imagge" in ended.err
    assert prefect.requests == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StampedeError("went wrong"), 1),
        (UpdateFailed("web is not healthy"), 1),
        (UnknownName("no such service"), 2),
        (StackLocked("locked by run x since noon"), 4),
        (HostUnreachable("h1 did not answer"), 5),
        (NeedsAdoption("a project of this name runs", "stampede adopt"), 6),
    ],
)
def test_exit_codes_tell_failures_apart(
    prefect: FakePrefect, stampede: Stampede, error: StampedeError, code: int
) -> None:
    def fails(parameters: dict[str, Any]) -> None:
        raise error

    prefect.play("deploy-stack", fails)
    ended = stampede("up", "--json")
    assert ended.code == code
    assert f"error: {error.message}" in ended.err
    assert ended.out == ""
    if error.hint:
        assert f"hint: {error.hint}" in ended.err


CHANGING = [
    ("up",),
    ("scale", "web=5"),
    ("rollback",),
    ("restart",),
    ("down",),
    ("adopt", "--yes"),
    EJECT,
]


@pytest.mark.parametrize("words", CHANGING)
def test_every_changing_verb_can_be_tried_dry(prefect: FakePrefect, stampede: Stampede, words: tuple[str, ...]) -> None:
    run = stampede(*words, "--dry-run", "--detach", "--json").json["run"]["id"]
    assert prefect.runs[run].parameters["dry_run"] is True


@pytest.mark.parametrize("words", CHANGING)
def test_every_changing_verb_takes_a_reason_waits_for_the_lock_and_detaches(
    prefect: FakePrefect, stampede: Stampede, words: tuple[str, ...]
) -> None:
    begun = stampede(*words, "--why", "because", "--wait", "7", "--detach", "--json").json
    asked = prefect.runs[begun["run"]["id"]].parameters
    assert (asked["why"], asked["wait_for_lock_s"]) == ("because", 7.0)
    assert asked["requested_by"]
    assert set(begun) == {"stack", "run"}


def test_a_cancelled_run_ends_with_3(prefect: FakePrefect, stampede: Stampede) -> None:
    run = stampede("up", "--detach", "--json").json["run"]["id"]
    prefect.runs[run].cancelled = True
    assert stampede("follow", run).code == 3


def test_a_server_that_is_down_ends_with_5(stampede: Stampede) -> None:
    ended = stampede("ps", "--server", "http://127.0.0.1:1")
    assert ended.code == 5
    assert "did not answer" in ended.err


def test_a_wrong_option_ends_with_2(stampede: Stampede) -> None:
    assert stampede("up", "--nonsense").code == 2
    assert stampede("up", "--pull", "sometimes").code == 2
    assert stampede("nonsense").code == 2


@pytest.mark.parametrize("word", ["web", "web=", "=5", "web=-1", "web=many"])
def test_scale_wants_a_number_for_a_service(stampede: Stampede, word: str) -> None:
    assert stampede("scale", word).code == 2


def test_detach_starts_the_run_and_follow_sees_its_end(stampede: Stampede) -> None:
    begun = stampede("up", "--detach", "--json")
    followed = stampede("follow", begun.json["run"]["id"], "--json")
    assert followed.code == 0
    assert followed.json["changed"] == ["shop-web-1"]


def soon(prefect: FakePrefect, flow: str, happens: Callable[[], None], after_s: float = 0.3) -> None:
    """Let something happen shortly after a run of `flow` has been created."""

    def play(parameters: dict[str, Any]) -> Any:
        threading.Timer(after_s, happens).start()
        return OUTCOME

    prefect.play(flow, play)


def test_ctrl_c_detaches_and_says_how_to_go_on(prefect: FakePrefect, stampede: Stampede) -> None:
    prefect.take_s = 60.0
    # Late enough for the command to follow the run by then, also on a busy machine.
    soon(prefect, "deploy-stack", lambda: os.kill(os.getpid(), signal.SIGINT), after_s=2.0)
    ended = stampede("up")
    run = next(iter(prefect.runs))
    assert ended.code == 130
    assert f"stampede follow {run}" in ended.err
    assert f"stampede cancel {run}" in ended.err
    assert prefect.runs[run].state[0] == "RUNNING"


def test_a_server_that_restarts_in_the_middle_is_waited_for(prefect: FakePrefect, stampede: Stampede) -> None:
    prefect.take_s = 1.5
    soon(prefect, "deploy-stack", lambda: prefect.restart(away_s=0.6))
    ended = stampede("up", "--json")
    assert ended.json["revision"] == 4
    assert "the server does not answer" in ended.err


def test_cancel_stops_a_run(prefect: FakePrefect, stampede: Stampede) -> None:
    prefect.take_s = 60.0
    run = stampede("up", "--detach", "--json").json["run"]["id"]
    assert stampede("cancel", run).code == 0
    assert prefect.runs[run].state[0] == "CANCELLED"
    assert "has ended already" in stampede("cancel", run).out


def test_down_with_volumes_asks_and_refuses_when_nobody_answers(prefect: FakePrefect, stampede: Stampede) -> None:
    asked = keeping(prefect, "remove-stack")
    ended = stampede("down", "--volumes")
    assert ended.code == 6
    assert "--yes" in ended.err
    assert asked == []
    assert stampede("down", "--volumes", "--yes").code == 0
    assert asked[0]["volumes"] is True


def test_adopt_shows_its_plan_and_asks(prefect: FakePrefect, stampede: Stampede) -> None:
    asked = keeping(prefect, "adopt-stack")
    ended = stampede("adopt")
    assert ended.code == 6
    assert "replace   shop-web-1  image changed" in ended.err
    assert [each.get("dry_run") for each in asked] == [True]
    assert stampede("adopt", "--yes").code == 0
    assert "dry_run" not in asked[1]


def test_eject_shows_its_plan_and_asks_and_wants_a_whole_path_on_another_machine(
    prefect: FakePrefect, stampede: Stampede, folder: Path
) -> None:
    asked = keeping(prefect, "eject-stack")
    ended = stampede("eject", "--to", "out")
    assert ended.code == 2
    assert "--to names it with its whole path" in ended.err
    ended = stampede("eject", "blog", "--to", str(folder / "out"), "--replicas-to-one")
    assert ended.code == 6
    assert "replace   shop-web-1  image changed" in ended.err
    assert asked == [{**asked[0], "stack": "blog", "directory": str(folder / "out"), "replicas_to_one": True}]
    assert asked[0]["dry_run"] is True


def test_volume_adopt_takes_the_size_from_the_file_and_asks(
    prefect: FakePrefect, stampede: Stampede, folder: Path
) -> None:
    asked = keeping(prefect, "adopt-volume")
    ended = stampede("volume", "adopt", "shop/data", "--yes")
    assert ended.code == 2
    assert "does not say how much shop/data holds" in ended.err
    text = "name: shop\nservices: {a: {image: b, volumes: [data:/data]}}\nvolumes: {data: {x-size: 1G}}\n"
    (folder / "compose.yaml").write_text(text)
    assert stampede("volume", "adopt", "shop/data").code == 6
    assert stampede("volume", "adopt", "shop/data", "--size", "2G", "--yes").code == 0
    assert [(each["volume"], each["size_bytes"] >> 30, each.get("dry_run")) for each in asked] == [
        ("data", 1, True),
        ("data", 2, None),
    ]


def test_unlock_of_a_stack_that_is_not_locked_says_so(stampede: Stampede) -> None:
    assert "is not locked" in stampede("unlock").out


def test_unlock_cancels_the_run_that_holds_the_lock(prefect: FakePrefect, stampede: Stampede) -> None:
    prefect.take_s = 60.0
    run = stampede("up", "--detach", "--json").json["run"]["id"]
    held = {
        "run": run,
        "run_name": "deploy shop",
        "who": "ann@desk",
        "why": "release 7",
        "since": "2026-01-01T00:00:00Z",
    }
    prefect.put_variable("lock-shop", held)
    asked = stampede("unlock")
    assert asked.code == 6
    for word in (run, "deploy shop", "by ann@desk", "release 7", "since 2026-01-01 00:00:00"):
        assert word in asked.err
    assert stampede("unlock", "--yes").code == 0
    assert prefect.variables == {}
    assert prefect.runs[run].state[0] == "CANCELLED"


def test_progress_is_plain_lines_on_stderr_where_no_terminal_is(prefect: FakePrefect, stampede: Stampede) -> None:
    prefect.take_s = 0.9
    prefect.every_run_has = [
        {"id": "t1", "name": "ensure container shop-web-1", "state_type": "COMPLETED", "total_run_time": 0.4}
    ]
    ended = stampede("up", "--json")
    assert ended.err.count("✓ ensure container shop-web-1  0.4 s") == 1
    assert ended.json["revision"] == 4


@pytest.mark.parametrize("address", ["", " ", "http://h:abc", "http://[::1", "h1"])
def test_a_server_whose_address_is_none_is_bad_input_and_nothing_is_started(stampede: Stampede, address: str) -> None:
    ended = stampede("ps", "--server", address)
    assert ended.code == 2
    assert "is no address of a server" in ended.err
    assert "hint: such as https://" in ended.err


@pytest.mark.usefixtures("folder")
def test_an_empty_variable_is_as_good_as_none_and_an_empty_option_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def refuse(server: str | None) -> NoReturn:
        asked.append(server)
        raise Refused("seen enough")

    monkeypatch.setattr(session, "open_client", refuse)
    monkeypatch.setenv("STAMPEDE_SERVER", "")
    for words in (["ps"], ["ps", "--server", ""]):
        monkeypatch.setattr(sys, "argv", ["stampede", *words])
        with pytest.raises(SystemExit):
            main()
    assert asked == [None, ""]
