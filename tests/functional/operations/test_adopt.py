"""A project that the real docker-compose brought up becomes a stack, with its data, and can become a project again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker as sdk
import pytest

from stampede.programs import run
from stampede.stackfile.reference import reference_program
from tests.functional.operations.conftest import Site, answer, free_port, until

pytestmark = pytest.mark.functional

# The token is made up at the first start and kept in the volume: with an empty volume there would be another.
WEB = (
    "[ -f /data/token ] || head -c 9 /dev/urandom | base64 > /data/token;"
    " cp /data/token /www/index.html; exec httpd -f -p 8080 -h /www"
)


def stack_file(app: str, port: int) -> str:
    return f"""
    name: {app}
    services:
      web:
        image: stampede-test/busybox:1
        command: ["sh", "-c", {WEB!r}]
        ports: ["127.0.0.1:{port}:8080"]
        stop_grace_period: 1s
        restart: always
        volumes: ["data:/data", "/scratch"]
      side:
        image: stampede-test/busybox:1
        container_name: {app}-fixed
        init: true
        command: ["sleep", "1000"]
    volumes:
      data: {{}}
    """


def compose(path: Path, app: str, *words: str) -> None:
    run([reference_program(), "-p", app, "-f", path, *words], timeout_s=120)


def of_project(client: sdk.DockerClient, app: str) -> dict[str, Any]:
    found = client.containers.list(all=True, filters={"label": f"com.docker.compose.project={app}"})
    return {str(each.name): each for each in found}


def test_a_compose_project_is_adopted_with_its_data_and_given_back(
    site: Site, app: str, docker_client: sdk.DockerClient
) -> None:
    port = free_port()
    path = site.file(stack_file(app, port), f"{app}.yaml")
    compose(path, app, "up", "-d")
    until(lambda: answer(port), "compose's web")
    token = answer(port)

    refused = site.stampede("up", "-f", path, check=False)
    assert (refused.code, "stampede adopt" in refused.err) == (6, True)
    planned = site.told("adopt", "-f", path, "--dry-run")
    done = {(each["action"], each["kind"], each["name"]) for each in planned["changes"]}
    assert {
        ("set aside", "instance", f"{app}-web-1"),
        ("set aside", "instance", f"{app}-fixed"),
        ("adopt", "volume", f"{app}_data"),
        ("create", "instance", f"{app}-web-1"),
    } <= done
    assert ("create", "volume", f"{app}_data") not in done
    assert any("is down from when its 2 containers" in warning for warning in planned["warnings"])
    assert any("/scratch" in warning for warning in planned["warnings"])
    assert {each.status for each in of_project(docker_client, app).values()} == {"running"}
    assert answer(port) == token

    site.told("adopt", "-f", path, "--yes")
    assert answer(port) == token
    originals = of_project(docker_client, app)
    assert set(originals) == {f"{app}-web-1-before-adoption", f"{app}-fixed-before-adoption"}
    for original in originals.values():
        original.reload()
        assert original.status == "exited"
        assert original.attrs["HostConfig"]["RestartPolicy"]["Name"] == "no"

    for again in (site.told("up", "-f", path), site.told("adopt", "-f", path, "--yes")):
        assert (again["changed"], again["removed"]) == ([], [])

    removed = site.told("down", "-p", app, "--yes", "--volumes")
    assert any(f"{app}_data" in warning for warning in removed["warnings"])
    assert docker_client.volumes.get(f"{app}_data").attrs["Labels"]["com.docker.compose.project"] == app
    site.told("up", "-f", path)
    assert answer(port) == token

    site.told("down", "-p", app, "--yes")
    compose(path, app, "up", "-d", "--force-recreate")
    until(lambda: answer(port) == token, "compose's web again, with the data")
    assert set(of_project(docker_client, app)) == {f"{app}-web-1", f"{app}-fixed"}
    compose(path, app, "down")


def test_a_volume_of_a_project_that_is_gone_is_not_shadowed(
    site: Site, app: str, docker_client: sdk.DockerClient
) -> None:
    port = free_port()
    path = site.file(stack_file(app, port), f"{app}.yaml")
    compose(path, app, "up", "-d")
    until(lambda: answer(port), "compose's web")
    token = answer(port)
    compose(path, app, "down")

    refused = site.stampede("up", "-f", path, check=False)
    assert (refused.code, "stampede adopt" in refused.err) == (6, True)
    assert docker_client.containers.list(all=True, filters={"label": f"stampede.stack={app}"}) == []
    site.told("adopt", "-f", path, "--yes")
    assert answer(port) == token
    site.told("down", "-p", app, "--yes")
