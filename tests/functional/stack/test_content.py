"""What instances hold: anonymous volumes that move to the replacement, configs and secrets as files."""

from __future__ import annotations

import json

import pytest

from tests.lab.stacks import LabStack, inside, sleeper

pytestmark = pytest.mark.functional


def test_an_anonymous_volume_goes_over_to_the_replacement(stack: LabStack) -> None:
    stack.up({"db": sleeper(volumes=["/data"])})
    (before,) = stack.containers("db")
    inside(before, "sh", "-c", "echo kept >/data/file")
    did = stack.up({"db": sleeper(volumes=["/data"], environment={"NEW": "1"})})
    assert "stop-first: it writes to /data" in did["changes"][0]["reason"]
    (after,) = stack.containers("db")
    assert after.id != before.id
    assert inside(after, "cat", "/data/file") == "kept"
    volume = next(mount["Name"] for mount in after.attrs["Mounts"])
    stack.do("down", "--yes")
    assert volume not in [v.name for v in stack.docker.volumes.list()], "it goes with its instance"


def test_configs_and_secrets_are_files_with_owner_and_mode_and_nowhere_else(stack: LabStack) -> None:
    stack.folder.joinpath("password").write_text("top-secret-word\n")
    service = sleeper(
        configs=[{"source": "settings", "target": "/etc/app.json", "mode": 0o440, "uid": "1000"}], secrets=["password"]
    )
    rest = {"configs": {"settings": {"content": '{"title": "x"}'}}, "secrets": {"password": {"file": "./password"}}}
    stack.up({"app": service}, **rest)
    (app,) = stack.containers("app")
    assert inside(app, "cat", "/run/secrets/password") == "top-secret-word"
    assert json.loads(inside(app, "cat", "/etc/app.json")) == {"title": "x"}
    assert inside(app, "stat", "-c", "%a %u", "/etc/app.json") == "440 1000"
    assert "top-secret-word" not in json.dumps(app.attrs)
    assert "top-secret-word" not in everything_on_disk(stack)


def test_a_secret_that_changed_replaces_those_that_mount_it_and_no_others(stack: LabStack) -> None:
    services = {"app": sleeper(secrets=["password"]), "other": sleeper()}
    secrets = {"password": {"file": "./password"}}
    stack.folder.joinpath("password").write_text("first\n")
    stack.up(services, secrets=secrets)
    others = stack.ids("other")
    stack.folder.joinpath("password").write_text("second\n")
    did = stack.do("up").json
    assert did["changed"] == [f"{stack.name}-app-1"]
    (app,) = stack.containers("app")
    assert inside(app, "cat", "/run/secrets/password") == "second"
    assert stack.ids("other") == others
    stack.do("rollback")
    (app,) = stack.containers("app")
    assert inside(app, "cat", "/run/secrets/password") == "first"


def everything_on_disk(stack: LabStack) -> str:
    """All files of the installation that outlive a reboot, logs and the server's database included."""
    files = (path for path in stack.installation.places.state.rglob("*") if path.is_file())
    return "\n".join(path.read_bytes().decode(errors="replace") for path in files)
