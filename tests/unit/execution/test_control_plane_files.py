"""Services, settings, logs and pid files of the control plane, without starting any of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stampede.control_plane import Service, logs, services, settings, status
from stampede.control_plane.processes import Process, read_pid, this_process, write_pid
from stampede.control_plane.systemd import BOOT, CONTROL, TRAFFIC, rendered
from stampede.errors import BadInput, ServerUnreachable
from stampede.places import Places


def test_a_service_that_was_added_is_read_back_and_removed(places: Places) -> None:
    service = Service("haproxy", ("haproxy", "-W"), after=("server",), traffic=True)
    services.add(places, service)
    assert services.load(places) == {"haproxy": service}
    services.remove(places, "haproxy")
    services.remove(places, "haproxy")
    assert services.load(places) == {}


def test_the_digest_changes_with_the_settings_of_the_service(places: Places) -> None:
    env_file = places.state / "a.env"
    env_file.write_text("A=1\n")
    service = Service("a", ("true",), env_file=str(env_file))
    before = service.digest
    env_file.write_text("A=2\n")
    assert service.digest != before


@pytest.mark.parametrize("text", ["not json", "{}", '{"name": "a", "argv": ["b"], "unknown": 1}'])
def test_a_file_that_describes_no_service_is_named(places: Places, text: str) -> None:
    services.folder(places).mkdir(parents=True)
    (services.folder(places) / "broken.json").write_text(text)
    with pytest.raises(BadInput, match=r"broken\.json"):
        services.load(places)


def test_preparing_twice_keeps_the_secrets_and_all_files_private(places: Places) -> None:
    settings.prepare(places, "127.0.0.1", 4999)
    before = settings.connection(places)
    settings.prepare(places, "127.0.0.1", 4999)
    assert settings.connection(places) == before
    assert before[0] == "http://127.0.0.1:4999/api"
    loose = [path for path in places.state.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert loose == []


def test_a_server_on_every_address_is_reached_over_loopback(places: Places) -> None:
    settings.prepare(places, "0.0.0.0", 4999)
    assert settings.connection(places)[0] == "http://127.0.0.1:4999/api"
    assert settings.chosen_address(places) == ("0.0.0.0", 4999)


def test_where_nothing_was_started_status_says_so_and_connect_names_the_command(places: Places) -> None:
    assert not status(places).healthy
    with pytest.raises(ServerUnreachable, match="stampede server start"):
        settings.connection(places)


def test_a_pid_that_was_given_away_again_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    ours = this_process()
    write_pid(path, ours)
    assert read_pid(path) == ours
    write_pid(path, Process(os.getpid(), ours.started - 1))
    assert read_pid(path) is None
    path.write_text("nonsense")
    assert read_pid(path) is None


def test_a_log_that_is_too_large_is_rotated_under_the_hands_of_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    writer = logs.open_log(path)
    os.write(writer, b"x" * 200)
    logs.rotate(tmp_path, max_bytes=100)
    os.write(writer, b"after\n")
    os.close(writer)
    assert path.read_text() == "after\n"
    assert (tmp_path / "a.log.1").stat().st_size == 200
    assert logs.last_lines(path) == "after"


@pytest.mark.parametrize("unit", [*CONTROL, *TRAFFIC, *BOOT])
def test_units_are_filled_in_completely(places: Places, unit: str) -> None:
    text = rendered(unit, places)
    assert "@" not in text
    assert "ExecStart=/" in text


def test_a_unit_differs_when_the_settings_that_its_service_reads_do(places: Places) -> None:
    settings.prepare(places, "127.0.0.1", 4999)
    before = {unit: rendered(unit, places) for unit in (*CONTROL, *TRAFFIC, *BOOT)}
    with settings.worker_env(places).open("a") as file:
        file.write("STAMPEDE_METRICS=127.0.0.1:9\n")
    assert [unit for unit, text in before.items() if rendered(unit, places) != text] == ["stampede-worker"]


def test_a_host_keeps_the_name_it_was_started_with(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAMPEDE_HOST", "h7")
    settings.prepare(places, "127.0.0.1", 4999)
    monkeypatch.delenv("STAMPEDE_HOST")
    settings.prepare(places, "127.0.0.1", 4999)
    assert services.read_env(settings.worker_env(places))["STAMPEDE_HOST"] == "h7"


def test_how_the_pool_is_to_be_holds_until_something_else_is_said(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAMPEDE_SNAPSHOT_RESERVE", "0.5")
    settings.prepare(places, "127.0.0.1", 4999)
    monkeypatch.delenv("STAMPEDE_SNAPSHOT_RESERVE")
    settings.prepare(places, "127.0.0.1", 4999)
    assert services.read_env(settings.worker_env(places))["STAMPEDE_SNAPSHOT_RESERVE"] == "0.5"

    monkeypatch.setenv("STAMPEDE_SNAPSHOT_RESERVE", "")
    settings.prepare(places, "127.0.0.1", 4999)
    assert services.read_env(settings.worker_env(places))["STAMPEDE_SNAPSHOT_RESERVE"] == ""
