"""What README.md tells people to write and to run works as it stands there."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import docker as sdk
import pytest

from stampede.programs import Finished, run
from tests.functional.operations.conftest import Site, answer, free_port, until
from tests.lab.images import ensure_busybox

pytestmark = pytest.mark.functional
ROOT = Path(__file__).parents[3]
USE_IT = (ROOT / "README.md").read_text().partition("## Use it")[2].partition("\n## ")[0]
COMMANDS = [
    line.partition("#")[0].split() for line in USE_IT.partition("```")[0].splitlines() if line.startswith("    ")
]
(STACK_FILE,) = re.findall(r"```yaml\n(.*?)```", USE_IT, re.DOTALL)
SERVES = 'CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]'
PROBES = "for name in healthy pg_isready; do printf '#!/bin/sh\\ntrue\\n' >/bin/$name; chmod +x /bin/$name; done"


@pytest.fixture
def image(app: str, docker_client: sdk.DockerClient) -> Iterator[str]:
    """An image with the programs that the README's healthchecks ask for, which serves a page at 8080."""
    name = f"stampede-test/readme:{app}"
    maker = docker_client.containers.create(ensure_busybox(docker_client), ["sh", "-c", PROBES])
    try:
        maker.start()
        assert maker.wait()["StatusCode"] == 0
        maker.commit(*name.split(":"), changes=[SERVES])
    finally:
        maker.remove(force=True)
    yield name
    docker_client.images.remove(name, force=True)


def test_the_stack_file_of_the_readme_is_one(site: Site, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(STACK_FILE)
    (tmp_path / "api-key").write_text("s3cr3t")
    shown = stampede(site, tmp_path, ["config"])
    assert "registry.example/shop/web:1.4" in shown.out
    assert (shown.code, shown.err) == (0, "")


def test_the_commands_of_the_readme_work_as_they_stand(site: Site, app: str, image: str, tmp_path: Path) -> None:
    port = free_port()
    text = STACK_FILE
    for written, here in {
        "name: shop": f"name: {app}",
        "registry.example/shop/web:1.4": image,
        "postgres:17": image,
        "{target: 8080, published: ": "{target: 8080, host_ip: 127.0.0.1, published: ",
        '"80"': f'"{port}"',
    }.items():
        assert written in text
        text = text.replace(written, here)
    (tmp_path / "compose.yaml").write_text(text)
    (tmp_path / "api-key").write_text("s3cr3t")

    assert {words[1] for words in COMMANDS[1:]} >= {
        "up",
        "ps",
        "scale",
        "plan",
        "rollback",
        "logs",
        "exec",
        "snapshot",
        "down",
    }
    for program, *words in COMMANDS:
        if program != "stampede":
            assert (ROOT / program).is_file()
            continue
        if words == ["plan"]:
            (tmp_path / "compose.yaml").write_text(text.replace("replicas: 3", "replicas: 2"))
        done = stampede(site, tmp_path, words, within_s=5 if words[:2] == ["logs", "-f"] else 240)
        assert done.code in ({124} if words[:2] == ["logs", "-f"] else {0}), (shlex.join(words), done.out, done.err)
        if words[:1] == ["up"]:
            until(lambda: answer(port) == "hello\n", "the page")
        if words == ["plan"]:
            assert f"{app}-web-3" in done.out
    assert site.told("ps", "-p", app) == []


def stampede(site: Site, folder: Path, words: list[str], within_s: int = 240) -> Finished:
    """The command in a folder, as in a script; code 124 when it had to be ended."""
    argv = ["timeout", str(within_s), sys.executable, "-m", "stampede", *words]
    environment = {**site.environment, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return run(argv, env=environment, cwd=folder, timeout_s=300, check=False)
