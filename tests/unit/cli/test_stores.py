"""Commands about stores, against a fake of Prefect's API: what they write down, show, and keep to themselves."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from stampede.backup.recovery_key import new_recovery_key
from stampede.errors import WrongCredentials
from tests.fakes.prefect_api import FakePrefect
from tests.unit.cli.conftest import Stampede

HONOURED = {
    "conditional_put": True,
    "one_winner": True,
    "ranges": True,
    "md5_checked": True,
    "versioning": False,
    "object_lock": False,
}
ADDRESS = "s3://backups/shop"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def prefect(prefect: FakePrefect) -> FakePrefect:
    """A server whose hosts reach every store."""

    def add(parameters: dict[str, Any]) -> dict[str, Any]:
        data = prefect.documents[f"stampede-store/{parameters['store']}"]["data"]
        joined = data["joining"] != "make"
        data |= {"ready": True, "repository": "r1", "origin": "default-1", "honoured": HONOURED, "confirmed": joined}
        return report(parameters)

    def report(parameters: dict[str, Any]) -> dict[str, Any]:
        found = {"store": parameters["store"], "address": ADDRESS, "repository": "r1", "origin": "default-1"}
        return found | {"hosts": ["h1", "h2"], "honoured": HONOURED, "volumes": 3}

    prefect.play("add-store", add)
    prefect.play("check-store", report)
    return prefect


def stored(prefect: FakePrefect, name: str = "offsite") -> dict[str, Any]:
    data: dict[str, Any] = prefect.documents[f"stampede-store/{name}"]["data"]
    return data


def test_credentials_are_those_of_the_environment_and_go_into_the_document_only(
    stampede: Stampede, prefect: FakePrefect
) -> None:
    ended = stampede("store", "add", "offsite", ADDRESS, "--endpoint", "https://s3.example.com/", "--region", "eu-1")
    data = stored(prefect)
    assert (data["access_key"], data["secret_key"], data["session_token"]) == ("id1", "hidden1", "")
    assert (data["bucket"], data["prefix"], data["lock_days"]) == ("backups", "shop", 0)
    assert (data["endpoint"], data["region"]) == ("https://s3.example.com", "eu-1")
    assert [run.parameters for run in prefect.runs.values()] == [{"store": "offsite"}]
    assert "hidden1" not in ended.out + ended.err


def test_a_lock_is_written_down(stampede: Stampede, prefect: FakePrefect) -> None:
    stampede("store", "add", "offsite", ADDRESS, "--lock-days", "30", "--lock-mode", "compliance")
    assert (stored(prefect)["lock_days"], stored(prefect)["lock_mode"]) == (30, "compliance")


def test_a_profile_of_aws_gives_credentials_region_and_endpoint(
    stampede: Stampede, prefect: FakePrefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "config").write_text("[profile work]\nregion = eu-2\nendpoint_url = http://127.0.0.1:9\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = id2\naws_secret_access_key = hidden2\n")
    stampede("store", "add", "offsite", ADDRESS, "--profile", "work")
    data = stored(prefect)
    assert (data["access_key"], data["secret_key"]) == ("id2", "hidden2")
    assert (data["region"], data["endpoint"]) == ("eu-2", "http://127.0.0.1:9")
    assert stampede("store", "add", "offsite-2", f"{ADDRESS}/2", "--profile", "none").code == 2


def test_the_new_recovery_key_is_shown_once_and_only_to_people(stampede: Stampede, prefect: FakePrefect) -> None:
    ended = stampede("store", "add", "offsite", ADDRESS)
    key = stored(prefect)["recovery_key"]
    assert f"recovery key: {key}" in ended.out
    ended = stampede("store", "add", "other", f"{ADDRESS}/2", "--json")
    assert ended.json["repository"] == "r1"
    assert stored(prefect, "other")["recovery_key"] not in ended.out + ended.err
    ended = stampede("store", "add", "third", f"{ADDRESS}/3", "--json", "--key-out", "-")
    assert ended.json["recovery_key"] == stored(prefect, "third")["recovery_key"]


def test_the_recovery_key_goes_to_a_new_file_of_its_owner(
    stampede: Stampede, prefect: FakePrefect, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    ended = stampede("store", "add", "offsite", ADDRESS, "--key-out", str(file))
    key = stored(prefect)["recovery_key"]
    assert file.read_text() == f"{key}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key not in ended.out + ended.err
    ended = stampede("store", "add", "other", f"{ADDRESS}/2", "--key-out", str(file))
    assert (ended.code, "is there already" in ended.err) == (6, True)
    assert "stampede-store/other" not in prefect.documents


def test_a_run_that_fails_leaves_no_file(stampede: Stampede, prefect: FakePrefect, tmp_path: Path) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise WrongCredentials("from h1: no", "check them")

    prefect.play("add-store", refuse)
    file = tmp_path / "key"
    ended = stampede("store", "add", "offsite", ADDRESS, "--key-out", str(file))
    assert (ended.code, ended.err.splitlines()[-2:]) == (1, ["error: from h1: no", "hint: check them"])
    assert not file.exists()


def test_an_interrupted_add_is_taken_up_with_the_key_it_had(stampede: Stampede, prefect: FakePrefect) -> None:
    stampede("store", "add", "offsite", ADDRESS)
    data = stored(prefect)
    data["ready"] = False
    key, cluster = data["recovery_key"], data["cluster_id"]
    assert stampede("store", "ls", "--json").json[0]["ready"] is False
    ended = stampede("store", "add", "offsite", ADDRESS)
    assert f"recovery key: {key}" in ended.out
    assert (stored(prefect)["ready"], stored(prefect)["cluster_id"]) == (True, cluster)


def test_names_and_addresses_are_taken_once(stampede: Stampede) -> None:
    stampede("store", "add", "offsite", ADDRESS)
    assert stampede("store", "add", "offsite", f"{ADDRESS}/2").code == 6
    ended = stampede("store", "add", "other", ADDRESS)
    assert (ended.code, "is store offsite already" in ended.err) == (6, True)


def test_a_key_file_joins_and_counts_as_confirmation(stampede: Stampede, prefect: FakePrefect, tmp_path: Path) -> None:
    key, file = new_recovery_key(), tmp_path / "key"
    file.write_text(f" {key.lower()} \n")
    ended = stampede("store", "add", "offsite", ADDRESS, "--key-file", str(file))
    assert (stored(prefect)["joining"], stored(prefect)["recovery_key"]) == ("join", key)
    assert key not in ended.out + ended.err
    assert "confirm" not in ended.err
    stampede("store", "add", "other", f"{ADDRESS}/2", "--key-file", str(file), "--take-over")
    assert stored(prefect, "other")["joining"] == "take over"
    stampede("store", "add", "third", f"{ADDRESS}/3", "--key-file", str(file), "--new")
    assert (stored(prefect, "third")["joining"], stored(prefect, "third")["recovery_key"]) == ("make", key)


@pytest.mark.parametrize(
    "words",
    [
        ["offsite", "backups/shop"],
        ["Off_site", ADDRESS],
        ["offsite", ADDRESS, "--endpoint", "s3.example.com"],
        ["offsite", ADDRESS, "--new"],
        ["offsite", ADDRESS, "--lock-days", "30", "--lock-mode", "forever"],
        ["offsite", ADDRESS, "--take-over"],
        ["offsite", ADDRESS, "--key-file", "missing"],
        ["offsite", ADDRESS, "--key-file", "compose.yaml"],
        ["offsite", ADDRESS, "--key-file", "compose.yaml", "--key-out", "x"],
    ],
)
def test_words_that_make_no_sense_are_refused_before_anything_is_asked(
    stampede: Stampede, prefect: FakePrefect, words: list[str]
) -> None:
    ended = stampede("store", "add", *words)
    assert (ended.code, "hint: " in ended.err or "cannot be read" in ended.err) == (2, True)
    assert prefect.requests == []


def test_a_key_is_confirmed_from_a_file_or_a_pipe_and_no_other_key_is(
    stampede: Stampede, prefect: FakePrefect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stampede("store", "add", "offsite", ADDRESS)
    other = tmp_path / "other"
    other.write_text(new_recovery_key())
    ended = stampede("store", "key", "confirm", "offsite", "--key-file", str(other))
    assert (ended.code, "this is not the recovery key of store offsite" in ended.err) == (2, True)
    assert stored(prefect)["confirmed"] is False
    monkeypatch.setattr(sys, "stdin", io.StringIO(stored(prefect)["recovery_key"]))
    assert stampede("store", "key", "confirm", "offsite").code == 6
    assert stampede("store", "key", "confirm", "offsite", "--key-file", "-").code == 0
    assert stored(prefect)["confirmed"] is True


def test_the_key_is_exported_when_it_is_asked_for(stampede: Stampede, prefect: FakePrefect, tmp_path: Path) -> None:
    stampede("store", "add", "offsite", ADDRESS)
    key = stored(prefect)["recovery_key"]
    assert stampede("store", "key", "export", "offsite").out == f"{key}\n"
    assert stampede("store", "key", "export", "offsite", "--json").json["recovery_key"] == key
    assert stampede("store", "key", "export", "offsite", "--key-out", str(tmp_path / "key")).out == ""
    assert (tmp_path / "key").read_text() == f"{key}\n"


def test_ls_shows_no_secret(stampede: Stampede, prefect: FakePrefect) -> None:
    assert stampede("store", "ls", "--json").json == []
    stampede("store", "add", "offsite", ADDRESS)
    (listed,) = stampede("store", "ls", "--json").json
    assert (listed["name"], listed["address"], listed["several_writers"]) == ("offsite", ADDRESS, True)
    shown = json.dumps(listed) + stampede("store", "ls").out
    assert "key not confirmed" in shown
    assert not [secret for secret in ("hidden1", "id1", stored(prefect)["recovery_key"]) if secret in shown]


def test_check_says_what_hosts_found(stampede: Stampede) -> None:
    stampede("store", "add", "offsite", ADDRESS)
    ended = stampede("store", "check", "offsite", "--json")
    assert (ended.json["hosts"], ended.json["volumes"]) == (["h1", "h2"], 3)
    assert ended.json["warnings"] == ["its bucket has no object lock: who has the access key can delete all backups"]
    assert stampede("store", "check", "nowhere").code == 2


def test_a_store_is_forgotten_when_somebody_says_yes(stampede: Stampede, prefect: FakePrefect) -> None:
    stampede("store", "add", "offsite", ADDRESS)
    assert stampede("store", "rm", "offsite").code == 6
    assert stored(prefect)["ready"] is True
    assert stampede("store", "rm", "offsite", "--yes").code == 0
    assert stampede("store", "ls", "--json").json == []
