"""Deploying on fake hosts: it works, twice equals once, and what is refused changes nothing."""

from __future__ import annotations

import pytest

from stampede.errors import BadInput, Foreign, NeedsAdoption, PortTaken, Refused, UnknownName, UpdateFailed
from stampede.flows.deploy_stack import deploy_stack
from stampede.flows.plan_stack import plan_stack
from stampede.planning.changes import Action
from stampede.planning.found import ForeignContainer
from stampede.tasks.stack_state import revisions_of
from tests.fakes.docker import BUSYBOX, Script
from tests.flows.lab import Lab
from tests.flows.stack_files import shop, with_job


async def test_a_first_deploy_starts_everything_in_order_and_balances_what_is_published(lab: Lab, stack: str) -> None:
    outcome = await lab.deploy(stack, shop())
    assert outcome.revision == 1
    assert len(lab.running(stack, "web")) == 2
    (db,) = lab.running(stack, "db")
    started = [what.removeprefix("start ") for what in lab.gate.passed if what.startswith("start ")]
    assert started[0] == db, "web waits for db to be healthy"
    (binds, servers) = lab.world(stack)["balanced"]["h1"]
    assert binds == ["*:18080"]
    assert servers == [(name, "serving") for name in sorted(lab.running(stack, "web"))]
    head = await lab.head(stack)
    assert (head.latest, head.wanted, head.serving, head.settled) == (1, 1, 1, True)


async def test_the_second_deploy_of_the_same_file_changes_nothing_and_makes_no_revision(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    before, head = lab.world(stack), await lab.head(stack)
    lab.gate.calm()
    outcome = await lab.deploy(stack, shop())
    assert outcome.changes == ()
    assert sorted(outcome.unchanged) == [f"{stack}-db-1", f"{stack}-web-1", f"{stack}-web-2"]
    assert lab.gate.passed == []
    assert lab.world(stack) == before
    assert await lab.head(stack) == head


async def test_a_dry_run_shows_the_plan_and_changes_nothing(lab: Lab, stack: str) -> None:
    outcome = await lab.deploy(stack, shop(), dry_run=True)
    assert outcome.dry_run
    assert {change.name for change in outcome.changes} >= {f"{stack}-web-1", f"{stack}_default", f"{stack}_data"}
    assert [what for what in lab.gate.passed if not what.startswith("keep ")] == [], "images are looked up and kept"
    head = await lab.head(stack)
    assert (head.latest, head.wanted) == (0, 0)


async def test_plan_says_what_deploy_would_do(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    candidate = await lab.store(stack, shop(2))
    planned = await plan_stack(stack=stack, candidate=candidate)
    done = await deploy_stack(stack=stack, candidate=candidate)
    assert planned.changes == done.changes
    assert {c.action for c in done.changes} == {Action.REPLACE}
    assert all("environment.VERSION" in c.reason for c in done.changes)


async def test_other_images_make_the_next_revision(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    lab.docker.images.add("stampede-test/busybox:2", "other")
    outcome = await deploy_stack(stack=stack, images={"web": "stampede-test/busybox:2"})
    assert outcome.revision == 2
    assert {found.image for found in lab.found(stack, "web")} == {"stampede-test/busybox:2"}
    with pytest.raises(BadInput, match="no service nope"):
        await deploy_stack(stack=stack, images={"nope": BUSYBOX})


async def test_an_earlier_revision_is_deployed_as_it_was_and_becomes_the_next(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    first = lab.world(stack)
    await lab.deploy(stack, shop(2))
    outcome = await deploy_stack(stack=stack, revision=1)
    assert outcome.revision == 3
    assert lab.world(stack) == first
    with pytest.raises(BadInput, match="two wishes"):
        await deploy_stack(stack=stack, revision=1, candidate="x")


async def test_old_revisions_are_forgotten_but_the_one_that_serves(
    lab: Lab, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stampede.tasks.stack_state.KEPT_REVISIONS", 2)
    for version in (1, 2, 3, 4):
        await lab.deploy(stack, shop(version))
    assert sorted(await revisions_of(stack, range(1, 5))) == [3, 4]


async def test_a_tag_that_was_built_anew_is_noticed(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    lab.docker.images.add(BUSYBOX, "built anew")
    outcome = await lab.deploy(stack, shop())
    assert outcome.revision == 2
    assert all("was built anew" in change.reason for change in outcome.changes)


async def test_a_service_that_left_the_file_goes_with_its_network_and_keeps_its_volume(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    await lab.deploy(stack, "services: {db: {image: stampede-test/busybox:1, network_mode: none}}")
    world = lab.world(stack)
    assert [name for _, name, _ in world["instances"]] == lab.running(stack, "db")
    assert (world["networks"], world["volumes"]) == ([], [f"{stack}_data"])
    assert world["balanced"] == {"h1": ([], [])}


async def test_the_name_of_a_foreign_container_is_never_touched(lab: Lab, stack: str) -> None:
    text = "services: {web: {image: stampede-test/busybox:1, container_name: theirs}}"
    lab.docker.foreign.append(ForeignContainer(id="f1", name="theirs"))
    with pytest.raises(Foreign, match="theirs"):
        await lab.deploy(stack, text)
    assert lab.found(stack) == []
    assert (await lab.head(stack)).wanted == 0, "what was refused is not wanted"


async def test_a_running_compose_project_of_the_name_is_not_shadowed(lab: Lab, stack: str) -> None:
    lab.docker.foreign.append(ForeignContainer(id="f1", name=f"{stack}-web-1", compose_project=stack))
    with pytest.raises(NeedsAdoption, match="adopt"):
        await lab.deploy(stack, shop())
    assert lab.found(stack) == []
    assert (await lab.head(stack)).wanted == 0


async def test_a_network_that_would_be_made_otherwise_is_refused(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    with pytest.raises(Refused, match="stampede down"):
        await lab.deploy(stack, shop() + "networks: {default: {internal: true}}\n")
    assert (await lab.head(stack)).wanted == 1


async def test_the_stack_file_of_another_stack_is_refused(lab: Lab, stack: str) -> None:
    other = await lab.store(f"{stack}2", shop())
    with pytest.raises(BadInput, match=f"{stack}2"):
        await deploy_stack(stack=stack, candidate=other)
    assert lab.found(f"{stack}2") == []


async def test_a_stack_that_was_never_deployed_is_unknown(lab: Lab, stack: str) -> None:
    with pytest.raises(UnknownName, match=stack):
        await deploy_stack(stack=stack)


async def test_a_job_runs_once_per_spec_and_its_dependents_wait_for_it(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, with_job())
    assert [f.state for f in lab.found(stack, "migrate")] == ["exited"]
    lab.gate.calm()
    assert (await lab.deploy(stack, with_job())).changes == ()
    await lab.deploy(stack, with_job(2))
    assert [what.partition(f" {stack}-")[::2] for what in lab.gate.passed if " " in what][:1]
    assert len([what for what in lab.gate.passed if what.startswith(f"start {stack}-migrate")]) == 1
    assert [f.state for f in lab.found(stack)] == ["running", "exited"]


async def test_a_job_that_fails_fails_the_deploy_and_is_run_again_by_the_next(lab: Lab, stack: str) -> None:
    for _ in range(2):
        with pytest.raises(UpdateFailed, match="exit code 3"):
            await lab.deploy(stack, with_job(code=3))
        assert lab.found(stack, "app") == []
    await lab.deploy(stack, with_job())
    assert len(lab.running(stack, "app")) == 1


async def test_a_first_deploy_that_never_gets_healthy_fails_each_time(lab: Lab, stack: str) -> None:
    lab.docker.script(lambda instance: instance.service == "web", Script(never_healthy=True, output="no way"))
    for _ in range(2):
        with pytest.raises(UpdateFailed, match="no way"):
            await lab.deploy(stack, shop(replicas=1))
        assert lab.world(stack)["balanced"]["h1"][1] == []
    assert (await lab.head(stack)).serving == 0
    lab.docker.by_name[lab.running(stack, "web")[0]].script = Script()
    await lab.deploy(stack, shop(replicas=1))
    assert len(lab.world(stack)["balanced"]["h1"][1]) == 1
    assert (await lab.head(stack)).settled


DNS = """
services:
  dns:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{version}"}}
    ports: ["18053:53/udp"]
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    deploy: {{update_config: {{monitor: 0s}}}}
"""


@pytest.mark.parametrize(("text", "port"), [(shop(), 18080), (DNS.format(version=1), 18053)], ids=["tcp", "udp"])
async def test_a_port_that_is_taken_is_refused_before_anything_is_recorded(
    lab: Lab, stack: str, text: str, port: int
) -> None:
    lab.haproxy.foreign_ports = lab.haproxy.foreign_udp_ports = {port}
    candidate = await lab.store(stack, text)
    for verb in (plan_stack, deploy_stack):
        with pytest.raises(PortTaken, match=f"{port} .*in use by another program on h1"):
            await verb(stack=stack, candidate=candidate)
    assert lab.found(stack) == []
    assert lab.world(stack)["networks"] == []
    assert (await lab.head(stack)).latest == 0
    lab.haproxy.foreign_ports = lab.haproxy.foreign_udp_ports = set()
    assert (await deploy_stack(stack=stack, candidate=candidate)).revision == 1


async def test_a_port_of_another_stack_is_refused_before_anything_is_recorded(lab: Lab, stack: str) -> None:
    await lab.deploy(f"{stack}b", shop())
    with pytest.raises(Foreign, match=f"published by service web of stack {stack}b"):
        await lab.deploy(stack, shop())
    assert (await lab.head(stack)).latest == 0


async def test_ports_that_the_stack_holds_itself_are_not_taken(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, DNS.format(version=1))
    outcome = await lab.deploy(stack, DNS.format(version=2))
    assert [change.action for change in outcome.changes] == [Action.REPLACE]


ON_A_SMALL_NETWORK = """
services:
  web:
    image: stampede-test/busybox:1
    environment: {{VERSION: "{version}"}}
    healthcheck: {{test: ["CMD", "true"], interval: 50ms, retries: 1}}
    deploy:
      replicas: 4
      update_config: {{monitor: 0s, parallelism: {parallelism}, order: start-first}}
networks: {{default: {{internal: {internal}, ipam: {{config: [{{subnet: 10.9.0.0/29}}]}}}}}}
"""


def on_a_small_network(version: int, parallelism: int = 1, internal: str = "false") -> str:
    """Four instances where there are five addresses."""
    return ON_A_SMALL_NETWORK.format(version=version, parallelism=parallelism, internal=internal)


async def test_each_wave_of_an_update_has_the_addresses_that_the_one_before_has_left(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, on_a_small_network(1))
    outcome = await lab.deploy(stack, on_a_small_network(2))
    assert [change.action for change in outcome.changes] == [Action.REPLACE] * 4
    assert len({found.addresses[f"{stack}_default"] for found in lab.found(stack)}) == 4


async def test_an_update_for_which_a_network_has_no_room_is_refused_before_anything_is_recorded(
    lab: Lab, stack: str
) -> None:
    await lab.deploy(stack, on_a_small_network(1))
    before = lab.world(stack)
    with pytest.raises(BadInput, match=r"room for 1 more .*needs 2 at once"):
        await lab.deploy(stack, on_a_small_network(2, parallelism=2))
    assert lab.world(stack) == before
    assert (await lab.head(stack)).latest == 1


async def test_a_network_that_the_file_defines_otherwise_is_refused_before_anything_is_recorded(
    lab: Lab, stack: str
) -> None:
    await lab.deploy(stack, on_a_small_network(1))
    with pytest.raises(Refused, match="was made with another internal"):
        await lab.deploy(stack, on_a_small_network(2, internal="true"))
    assert (await lab.head(stack)).latest == 1


async def test_a_balancer_that_somebody_stopped_runs_again_after_a_deploy_that_changes_nothing_else(
    lab: Lab, stack: str
) -> None:
    await lab.deploy(stack, shop())
    before = lab.world(stack)
    lab.haproxy.running = False
    trial = await lab.deploy(stack, shop(), dry_run=True)
    assert [(change.action, change.kind, change.reason) for change in trial.changes] == [
        ("start", "listener", "the balancer does not run")
    ]
    assert not lab.haproxy.is_running()
    outcome = await lab.deploy(stack, shop())
    assert outcome.changes == trial.changes
    assert lab.haproxy.is_running()
    assert lab.world(stack) == before
    assert (await lab.deploy(stack, shop())).changes == ()


async def test_a_changed_stack_is_deployed_and_removed_though_somebody_stopped_the_balancer(
    lab: Lab, stack: str
) -> None:
    await lab.deploy(stack, shop())
    lab.haproxy.running = False
    await lab.deploy(stack, shop(2))
    assert lab.haproxy.is_running()
    lab.haproxy.running = False
    await lab.remove(stack)
    assert lab.found(stack) == []
