"""A server whose database is lost, and one that moves."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import docker as sdk
import pytest

from tests.functional.operations.conftest import Site, answer, free_port, site_of_its_own, until

pytestmark = pytest.mark.functional


def stack_file(app: str, port: int, said: str) -> str:
    return f"""
    name: {app}
    services:
      web:
        image: stampede-test/busybox:1
        command: ["sh", "-c", "echo {said} $$(cat /run/secrets/pw) > /www/index.html; exec httpd -f -p 8080 -h /www"]
        ports: ["127.0.0.1:{port}:8080"]
        stop_grace_period: 1s
        secrets: [pw]
    secrets:
      pw: {{environment: PW}}
    """


def containers(client: sdk.DockerClient, app: str) -> set[str]:
    return {each.id for each in client.containers.list(filters={"label": f"stampede.stack={app}"}) if each.id}


def lose_the_database(site: Site) -> None:
    files = list(site.places.server.glob("prefect.db*"))
    assert files
    for path in files:
        path.unlink()


def test_a_lost_database_is_rebuilt_from_the_hosts(
    fresh_site: Site, app: str, docker_client: sdk.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, port = fresh_site, free_port()
    monkeypatch.setenv("PW", "hunter2-of-rebuild")
    site.up(stack_file(app, port, "one"))
    site.up(stack_file(app, port, "two"))
    before = containers(docker_client, app)
    assert_nothing_in_the_clear(site, b"hunter2-of-rebuild")

    site.stop()
    lose_the_database(site)
    site.start()
    assert answer(port) == "two hunter2-of-rebuild\n"
    refused = site.stampede("up", "-f", site.file(stack_file(app, port, "two")), check=False)
    assert refused.code == 1
    assert "server rebuild" in refused.err
    assert containers(docker_client, app) == before

    (rebuilt,) = site.told("server", "rebuild")["result"]
    assert rebuilt == {"stack": app, "revision": 2, "revisions": [1, 2]}
    assert site.told("server", "rebuild")["result"] == [rebuilt]

    assert [each["name"] for each in site.told("ps", "-p", app)] != []
    again = site.up(stack_file(app, port, "two"))
    assert (again["revision"], again["changed"], again["removed"]) == (2, [], [])
    assert containers(docker_client, app) == before
    assert site.told("rollback", "-p", app)["revision"] == 1
    assert answer(port) == "one hunter2-of-rebuild\n"
    with site.http() as api:
        assert api.get(f"/deployments/name/deploy-stack/{app}").status_code == 200
    site.told("down", "-p", app, "--yes")
    assert not list((site.places.host / "revisions").iterdir())


def assert_nothing_in_the_clear(site: Site, secret: bytes) -> None:
    files = [path for path in site.places.state.rglob("*") if path.is_file()]
    assert any(path.parent.name.startswith("ops-") for path in files)
    assert [path for path in files if secret in path.read_bytes()] == []


def test_what_a_server_knows_moves_to_another_one(
    site: Site, app: str, docker_client: sdk.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(said: str) -> str:
        """Without a published port, which only one of two servers on a host can have."""
        lines = stack_file(app, 0, said).splitlines()
        return "\n".join(line for line in lines if "ports:" not in line)

    monkeypatch.setenv("PW", "x")
    site.up(version("one"))
    site.up(version("two"))
    copy = tmp_path / "copy.json"
    site.stampede("server", "export", copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert site.stampede("server", "export", copy, check=False).code == 6

    with site_of_its_own(site.places.cluster) as other:
        other.stampede("server", "import", copy)
        assert "stay as they are" in other.stampede("server", "import", copy).out
        assert app in {each["name"].rpartition("-r")[0] for each in documents(other)}
        with other.http() as api:
            head = api.get(f"/variables/name/stack-{app}").json()["value"]
        assert (head["wanted"], head["serving"]) == (2, 2)
        planned = other.told("up", "-f", other.file(version("two")), "--dry-run")
        assert (planned["revision"], planned["unchanged"]) == (2, [f"{app}-web-1"])
    site.told("down", "-p", app, "--yes")
    until(lambda: not containers(docker_client, app), "gone")


def documents(site: Site) -> list[dict[str, Any]]:
    with site.http() as api:
        body = {"block_types": {"slug": {"any_": ["stampede-revision"]}}, "include_secrets": True}
        found: list[dict[str, Any]] = api.post("/block_documents/filter", json=body).json()
        return found
