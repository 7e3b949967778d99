"""Ejecting a stack, also when it is killed, and what runs when the Compose project does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stampede.errors import BadInput, Foreign, Refused, UnknownName, UpdateFailed
from stampede.flows.eject_stack import eject_stack
from stampede.planning.changes import Outcome
from stampede.planning.found import ForeignContainer
from stampede.stackfile.yamltext import read_yaml
from stampede.tasks import ejection
from tests.flows.lab import Lab
from tests.flows.stack_files import shop
from tests.flows.test_interruptions import kill_at_every_step

WITH_NAMES = """
services:
  app:
    image: stampede-test/busybox:1
    container_name: {stack}-fixed
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    volumes: ["/scratch", "data:/data"]
    secrets: [pw]
    ports: [{{target: 53, protocol: udp}}, "8080"]
    deploy: {{update_config: {{monitor: 0s}}}}
volumes: {{data: {{}}}}
secrets: {{pw: {{environment: PW}}}}
"""


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ejection, "SETTLE_S", 0.0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "ejected"


async def eject(lab: Lab, stack: str, directory: Path, **how: Any) -> Outcome:
    outcome: Outcome = await eject_stack(stack=stack, directory=str(directory), **how)
    return outcome


def project(lab: Lab, stack: str) -> list[tuple[str, str]]:
    return sorted((f.name, f.state) for f in lab.docker.foreign if f.compose_project == stack)


def compose_file(directory: Path) -> Any:
    return read_yaml((directory / "compose.yaml").read_text())


async def test_replicas_behind_one_port_are_refused_unless_they_may_go(lab: Lab, stack: str, directory: Path) -> None:
    await lab.deploy(stack, shop(replicas=2))
    with pytest.raises(Refused, match="web has 2 replicas behind one port") as refused:
        await eject(lab, stack, directory)
    assert "--replicas-to-one" in refused.value.hint
    assert (len(lab.running(stack)), directory.exists()) == (3, False)


async def test_a_dry_run_shows_everything_and_changes_nothing(lab: Lab, stack: str, directory: Path) -> None:
    await lab.deploy(stack, shop(replicas=2))
    lab.gate.calm()
    planned = await eject(lab, stack, directory, dry_run=True, replicas_to_one=True)
    assert {(c.action.value, c.kind, c.name) for c in planned.changes} == {
        ("create", "file", f"{directory}/compose.yaml"),
        ("eject", "instance", f"{stack}-web-1"),
        ("remove", "instance", f"{stack}-web-2"),
        ("eject", "instance", f"{stack}-db-1"),
        ("eject", "volume", f"{stack}_data"),
        ("replace", "network", f"{stack}_default"),
        ("remove", "listener", "web *:18080"),
    }
    assert planned.warnings[0].startswith(f"{stack} is down from when its 3 containers")
    assert "web goes on with one replica instead of 2" in planned.warnings
    assert (lab.gate.passed, directory.exists()) == ([], False)


async def test_an_ejection_killed_at_any_step_is_finished_by_the_next_run(
    lab: Lab, stack: str, directory: Path
) -> None:
    await lab.deploy(stack, shop(replicas=2))
    assert await kill_at_every_step(lab, lambda: eject(lab, stack, directory, replicas_to_one=True)) >= 10
    assert project(lab, stack) == [(f"{stack}-db-1", "running"), (f"{stack}-web-1", "running")]
    assert lab.found(stack) == []
    assert lab.world(stack)["balanced"] == {"h1": ([], [])}
    assert lab.docker.volumes.exists(f"{stack}_data")
    assert (await lab.head(stack)).wanted == 0
    assert (await eject(lab, stack, directory)).changes == ()


async def test_ports_volumes_and_names_that_were_chosen_survive_every_interruption(
    lab: Lab, stack: str, directory: Path
) -> None:
    await lab.deploy(stack, WITH_NAMES.format(stack=stack), environ={"PW": "sesame"})
    (before,) = lab.found(stack)
    (listener,) = lab.haproxy.desired(stack).listeners
    await kill_at_every_step(lab, lambda: eject(lab, stack, directory))
    said = compose_file(directory)
    app = said["services"]["app"]
    assert [port["published"] for port in app["ports"]] == [str(before.ports["53/udp"]), str(listener.port)]
    scratch = next(mount["source"] for mount in app["volumes"] if mount["target"] == "/scratch")
    assert said["volumes"][scratch] == {"name": before.anonymous_volumes["/scratch"], "external": True}
    assert lab.docker.volumes.exists(before.anonymous_volumes["/scratch"])
    assert project(lab, stack) == [(f"{stack}-fixed", "running")]
    assert (directory / "secrets/pw").read_text() == "sesame"
    assert (directory.stat().st_mode & 0o777, (directory / "compose.yaml").stat().st_mode & 0o777) == (0o700, 0o600)


async def test_a_project_that_does_not_come_up_leaves_the_stack_as_it_was(
    lab: Lab, stack: str, directory: Path
) -> None:
    await lab.deploy(stack, WITH_NAMES.format(stack=stack), environ={"PW": "sesame"})
    before = lab.world(stack)
    (scratch,) = lab.found(stack)
    lab.docker.projects.exits["app"] = 1
    with pytest.raises(UpdateFailed, match=r"ended with exit code 1.*runs as before"):
        await eject(lab, stack, directory)
    assert lab.world(stack) == before
    assert lab.found(stack)[0].anonymous_volumes == scratch.anonymous_volumes
    assert (project(lab, stack), directory.exists()) == ([], False)
    assert (await lab.head(stack)).settled
    assert (await lab.deploy(stack, WITH_NAMES.format(stack=stack), environ={"PW": "sesame"})).changes == ()


async def test_up_brings_back_what_an_interrupted_ejection_stopped(lab: Lab, stack: str, directory: Path) -> None:
    await lab.deploy(stack, shop(replicas=1))
    before = lab.world(stack)
    lab.gate.calm()
    await eject(lab, stack, directory)
    steps = [what for what in lab.gate.passed if what.startswith("compose")]
    first = lab.gate.passed.index(steps[0]) + 1
    other = f"{stack}x"
    await lab.deploy(other, shop(replicas=1).replace("18080", "18081"))
    world = str(lab.world(other))
    lab.gate.calm()
    lab.gate.kill_at = first
    with pytest.raises(BaseException, match="compose network"):
        await eject(lab, other, directory.with_name("other"))
    lab.gate.calm()
    assert lab.running(other) == []
    await lab.deploy(other, shop(replicas=1).replace("18080", "18081"))
    assert str(lab.world(other)) == world
    assert before["instances"]


async def test_what_is_in_the_way_is_named_before_anything_is_stopped(lab: Lab, stack: str, directory: Path) -> None:
    await lab.deploy(stack, shop(replicas=1))
    directory.mkdir()
    (directory / "notes.txt").write_text("mine")
    with pytest.raises(Refused, match="holds something else already"):
        await eject(lab, stack, directory)
    (directory / "notes.txt").unlink()
    kept = ForeignContainer(id="o", name=f"{stack}-web-1-before-adoption", compose_project=stack, state="exited")
    lab.docker.foreign.append(kept)
    with pytest.raises(Foreign, match="originals of its adoption"):
        await eject(lab, stack, directory)
    assert len(lab.running(stack)) == 2


async def test_names_that_mean_nothing_are_bad_input(lab: Lab, stack: str) -> None:
    with pytest.raises(UnknownName):
        await eject(lab, stack, Path("/srv/x"))
    with pytest.raises(BadInput, match="no directory"):
        await eject(lab, stack, Path("x"))
