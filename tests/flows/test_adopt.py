"""Adopting a Compose project, also when it is killed, and what is left when it fails."""

from __future__ import annotations

import pytest

from stampede.errors import Foreign, NeedsAdoption, UpdateFailed
from stampede.flows.adopt_stack import adopt_stack
from stampede.planning.changes import Outcome
from stampede.planning.found import ForeignContainer
from tests.fakes.docker import Script
from tests.flows.lab import Lab
from tests.flows.stack_files import shop
from tests.flows.test_interruptions import kill_at_every_step


@pytest.fixture
def project(lab: Lab, stack: str) -> str:
    """A Compose project with the stack's name runs on `h1`: two containers, a network, a volume. Its name."""
    docker = lab.docker
    for service in ("web", "db"):
        name = f"{stack}-{service}-1"
        docker.foreign.append(
            ForeignContainer(id=f"{name}-id", name=name, compose_project=stack, compose_service=service)
        )
        docker.projects.attached[f"{name}-id"] = (f"{stack}_default",)
    docker.networks.add_foreign(f"{stack}_default", project=stack)
    docker.volumes.add_foreign(f"{stack}_data", project=stack)
    return stack


async def adopt(lab: Lab, stack: str, text: str, *, dry_run: bool = False) -> Outcome:
    return await adopt_stack(stack=stack, candidate=await lab.store(stack, text), dry_run=dry_run)


def originals(lab: Lab, stack: str) -> list[tuple[str, str]]:
    return sorted((f.name, f.state) for f in lab.docker.foreign if f.compose_project == stack)


async def test_up_on_a_compose_project_changes_nothing_and_names_adopt(lab: Lab, project: str) -> None:
    with pytest.raises(NeedsAdoption, match=f"{project}-db-1, {project}-web-1") as refused:
        await lab.deploy(project, shop())
    assert "stampede adopt" in refused.value.hint
    assert [what for what in lab.gate.passed if not what.startswith("keep")] == []
    assert (await lab.head(project)).latest == 0


async def test_a_dry_run_shows_everything_and_changes_nothing(lab: Lab, project: str) -> None:
    planned = await adopt(lab, project, shop(), dry_run=True)
    assert [change.name for change in planned.changes if change.action.value == "set aside"] == [
        f"{project}-db-1",
        f"{project}-web-1",
    ]
    assert planned.warnings[0].startswith(f"{project} is down from when its 2 containers")
    assert [what for what in lab.gate.passed if not what.startswith("keep")] == []


async def test_an_adoption_killed_at_any_step_is_finished_by_the_next_run(lab: Lab, project: str) -> None:
    assert await kill_at_every_step(lab, lambda: adopt(lab, project, shop())) > 10
    aside = "before-adoption"
    assert originals(lab, project) == [
        (f"{project}-db-1-{aside}", "exited"),
        (f"{project}-web-1-{aside}", "exited"),
    ]
    assert (len(lab.running(project, "web")), len(lab.running(project, "db"))) == (2, 1)
    assert lab.world(project)["volumes"] == []  # it is Compose's still, and no other was made
    assert lab.docker.volumes.exists(f"{project}_data")
    for again in (await adopt(lab, project, shop()), await lab.deploy(project, shop())):
        assert again.changes == ()


async def test_what_was_adopted_is_never_removed(lab: Lab, project: str) -> None:
    await adopt(lab, project, shop())
    removed = await lab.remove(project, volumes=True)
    assert f"volume {project}_data stays" in " ".join(removed.warnings)
    assert lab.docker.volumes.exists(f"{project}_data")
    assert lab.found(project) == []
    assert len(originals(lab, project)) == 2
    assert f"{project}_data" not in {change.name for change in (await lab.deploy(project, shop())).changes}


async def test_a_stack_that_does_not_come_up_says_how_to_go_back(lab: Lab, project: str) -> None:
    lab.docker.script(lambda instance: instance.service == "web", Script(exits=1))
    with pytest.raises(UpdateFailed) as failed:
        await adopt(lab, project, shop())
    assert "docker compose up -d --force-recreate" in failed.value.hint
    assert {state for _, state in originals(lab, project)} == {"exited"}


async def test_a_volume_that_a_project_left_behind_is_not_used_without_being_asked(lab: Lab, stack: str) -> None:
    lab.docker.volumes.add_foreign(f"{stack}_data", project=stack)
    with pytest.raises(NeedsAdoption, match=f"{stack}_data"):
        await lab.deploy(stack, shop())
    await adopt(lab, stack, shop())
    assert lab.world(stack)["volumes"] == []


async def test_somebody_elses_container_on_the_projects_network_stops_it_before_anything_is_stopped(
    lab: Lab, project: str
) -> None:
    lab.docker.foreign.append(ForeignContainer(id="proxy-id", name="proxy"))
    lab.docker.projects.attached["proxy-id"] = (f"{project}_default",)
    with pytest.raises(Foreign, match="proxy"):
        await adopt(lab, project, shop())
    assert {state for _, state in originals(lab, project)} == {"running"}
    lab.docker.projects.attached.clear()
    await adopt(lab, project, shop())
    assert len(lab.running(project, "web")) == 2
