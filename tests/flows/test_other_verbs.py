"""Scale, rollback, restart, remove; locks; several hosts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate
from prefect.states import Running

from stampede.blocks.documents import Documents
from stampede.documents import Revision
from stampede.errors import BadInput, ImageMissing, StackLocked, UnknownName
from stampede.flows.adopt_stack import adopt_stack
from stampede.flows.deploy_stack import deploy_stack
from stampede.flows.remove_stack import remove_stack
from stampede.flows.restart_service import restart_service
from stampede.flows.rollback_stack import rollback_stack
from stampede.flows.scale_service import scale_service
from stampede.locking import LockValue, lock_name
from stampede.planning.instances import Image
from stampede.tasks import locks
from tests.fakes.docker import BUSYBOX, FakeDockerHost
from tests.flows.inline_hosts import hosts_inline
from tests.flows.lab import Lab, document_of
from tests.flows.server import Server
from tests.flows.stack_files import shop, with_job


async def test_scale_starts_and_stops_only_what_it_has_to(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    before = set(lab.running(stack))
    up = await lab.scale(stack, web=4)
    assert up.revision == 2
    assert before < set(lab.running(stack))
    assert len(lab.running(stack, "web")) == 4
    again = await lab.scale(stack, web=4)
    assert (again.changes, again.revision) == ((), 2)
    await lab.scale(stack, web=2)
    assert set(lab.running(stack)) == before
    for wrong, message in (({"nope": 1}, "no service nope"), ({"web": -1}, "fewer than 0")):
        with pytest.raises(BadInput, match=message):
            await lab.scale(stack, **wrong)
    assert (await lab.head(stack)).wanted == 3


async def test_rollback_brings_an_earlier_revision_back(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    first = lab.world(stack)
    with pytest.raises(BadInput, match="no earlier revision"):
        await lab.rollback(stack)
    await lab.deploy(stack, shop(2, db_version=2))
    outcome = await lab.rollback(stack)
    assert outcome.revision == 1
    assert lab.world(stack) == first
    assert (await lab.rollback(stack, 1)).changes == ()
    with pytest.raises(UnknownName, match="no revision 9"):
        await lab.rollback(stack, 9)


async def test_a_stack_that_was_removed_comes_back_with_rollback(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    before = lab.world(stack)
    outcome = await lab.remove(stack)
    assert f"{stack}-web-1" in outcome.removed
    assert lab.world(stack) == {
        "instances": [],
        "networks": [],
        "volumes": [f"{stack}_data"],
        "balanced": {"h1": ([], [])},
    }
    stopped = [what for what in lab.gate.passed if what.startswith("stop ")]
    assert "-db-" in stopped[-1], "what others depend on stops last"
    assert (await lab.remove(stack)).changes == ()
    with pytest.raises(UnknownName):
        await lab.scale(stack, web=1)
    await lab.rollback(stack)
    assert lab.world(stack) == before


async def test_restart_keeps_every_container_and_runs_no_job_again(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, with_job())
    before = lab.world(stack)
    lab.gate.calm()
    outcome = await lab.restart(stack)
    assert [change.name for change in outcome.changes] == [f"{stack}-app-1"]
    assert [what.split()[0] for what in lab.gate.passed] == ["stop", "start"]
    assert lab.world(stack) == before
    await lab.restart(stack, "migrate")
    assert lab.gate.passed[-1].startswith(f"start {stack}-migrate")
    with pytest.raises(BadInput, match="no service nope"):
        await lab.restart(stack, "nope")


async def test_a_stack_that_is_being_changed_is_locked(lab: Lab, stack: str) -> None:
    async with get_client() as client:
        other = await client.create_flow_run(deploy_stack, parameters={"stack": stack}, state=Running())
        held = LockValue(
            run=str(other.id), run_name="deploy x", who="ann@desk", why="release 7", since="2026-01-01T00:00:00+00:00"
        )
        await client.create_variable(VariableCreate(name=lock_name(stack), value=held.model_dump()))
    told = rf"by ann@desk since 2026-01-01\S+ \(release 7\), run 'deploy x' \({other.id}\)"
    with pytest.raises(StackLocked, match=told):
        await lab.deploy(stack, shop())
    assert lab.found(stack) == []
    async with get_client() as client:
        await client.delete_variable_by_name(lock_name(stack))
    await lab.deploy(stack, shop())


async def test_a_run_that_died_while_it_stored_its_revision_is_in_nobodys_way(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    left = Revision(
        stack=stack,
        number=2,
        created=datetime.now(UTC),
        salt="s",
        document=document_of(stack, shop(2)),
        images={name: Image(reference=BUSYBOX, identity="x") for name in ("web", "db")},
    )
    async with get_client() as client:
        await Documents(client).create_revision(left)
    outcome = await lab.deploy(stack, shop(3))
    assert outcome.revision == 3
    assert (await lab.head(stack)).latest == 3


async def test_a_paused_or_stopped_instance_is_started_and_a_crash_loop_is_told(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    web = lab.found(stack, "web")
    lab.docker.by_name[web[0].name].change(state="paused")
    lab.docker.by_name[web[1].name].change(state="restarting")
    outcome = await lab.deploy(stack, shop())
    assert [change.reason for change in outcome.changes] == ["it is paused"]
    assert [warning for warning in outcome.warnings if "again and again" in warning]


@pytest.fixture
def pair(server: Server, memory: Path, quick: None) -> Iterator[Lab]:
    """A cluster of two hosts."""
    made = Lab(memory, ("h1", "h2"))
    with server.as_api(), hosts_inline(made.hosts):
        yield made


async def test_on_two_hosts_instances_are_spread_and_stay_where_they_are(pair: Lab, stack: str) -> None:
    await pair.deploy(stack, shop())
    homes = {found.label: found.host for found in pair.found(stack)}
    assert sorted(homes.values()) in (["h1", "h1", "h2"], ["h1", "h2", "h2"])
    assert all(binds == ["*:18080"] for binds, _ in pair.world(stack)["balanced"].values())
    await pair.deploy(stack, shop(2, db_version=2))
    assert {found.label: found.host for found in pair.found(stack)} == homes
    assert (await pair.deploy(stack, shop(2, db_version=2))).changes == ()
    await pair.remove(stack, volumes=True)
    world = pair.world(stack)
    assert (world["instances"], world["networks"], world["volumes"]) == ([], [], [])


APP = "registry.example/app:1"
ONE_OF_APP = f"""
services:
  web:
    image: {APP}
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    deploy: {{update_config: {{monitor: 0s}}}}
"""


def publish(pair: Lab, content: str) -> None:
    """The registry, which both hosts reach, has this as the newest image of the tag."""
    for host in pair.hosts.values():
        assert isinstance(host.docker, FakeDockerHost)
        host.docker.images.publish(APP, content)


async def deploy_before_the_second_host_came(pair: Lab, stack: str, text: str = ONE_OF_APP) -> str:
    """Returns the identity of the image of `web`."""
    with hosts_inline({"h1": pair.hosts["h1"]}):
        await pair.deploy(stack, text)
    return pair.found(stack, "web")[0].image_identity


async def test_a_host_that_never_had_an_image_gets_the_very_same_one(pair: Lab, stack: str) -> None:
    publish(pair, "first")
    identity = await deploy_before_the_second_host_came(pair, stack)
    publish(pair, "second")
    await pair.scale(stack, web=2)
    assert {(found.host, found.image_identity) for found in pair.found(stack)} == {("h1", identity), ("h2", identity)}
    await pair.remove(stack)
    await pair.rollback(stack)
    assert {(found.host, found.image_identity) for found in pair.found(stack)} == {("h1", identity), ("h2", identity)}


async def test_hosts_on_which_a_tag_stands_for_different_images_get_the_same_one(pair: Lab, stack: str) -> None:
    publish(pair, "old")
    second = pair.hosts["h2"].docker
    second.images.resolve(APP)
    publish(pair, "new")
    await pair.deploy(stack, ONE_OF_APP.replace("deploy: {", "deploy: {replicas: 2, "))
    assert {found.host for found in pair.found(stack)} == {"h1", "h2"}
    assert len({found.image_identity for found in pair.found(stack)}) == 1


async def test_an_image_that_a_host_cannot_have_is_told_before_anything_is_recorded(pair: Lab, stack: str) -> None:
    docker = pair.hosts["h1"].docker
    assert isinstance(docker, FakeDockerHost)
    docker.images.add(APP)  # loaded by hand: no registry has it
    await deploy_before_the_second_host_came(pair, stack)
    before = pair.world(stack)
    with pytest.raises(ImageMissing, match=r"services.web.image: h2 cannot have the image: .* built or loaded"):
        await pair.scale(stack, web=2)
    assert pair.world(stack) == before
    assert (await pair.head(stack)).latest == 1
    assert (await pair.restart(stack)).changes, "a host that gets no instance may do without"


@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        (deploy_stack, {}),
        (adopt_stack, {"candidate": "x"}),
        (scale_service, {"replicas": {"web": 2}}),
        (rollback_stack, {}),
        (restart_service, {}),
        (remove_stack, {}),
    ],
)
@pytest.mark.usefixtures("lab")
async def test_every_verb_tells_its_lock_who_asked_for_it(
    stack: str, verb: Flow[..., Any], parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[LockValue] = []

    async def seen(client: object, stack: str, value: LockValue, wait_s: float) -> NoReturn:
        wanted.append(value)
        raise StackLocked("seen enough")

    monkeypatch.setattr(locks, "_acquire", seen)
    with pytest.raises(StackLocked, match="seen enough"):
        await verb(stack=stack, requested_by="ann@desk", why="release 7", **parameters)
    assert [(value.who, value.why) for value in wanted] == [("ann@desk", "release 7")]
