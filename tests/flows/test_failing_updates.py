"""Updates that go wrong: what served goes on serving, and the file says what happens next."""

from __future__ import annotations

import pytest

from stampede.errors import DaemonError, DaemonUnavailable, Fenced, UpdateFailed, UpdatePaused
from stampede.planning.instances import Instance
from stampede.tasks.fences import check_fence, highest_fence
from tests.fakes.docker import Script
from tests.flows.lab import Lab
from tests.flows.stack_files import shop


def second_version(instance: Instance) -> bool:
    return instance.service == "web" and instance.spec.environment["VERSION"] == "2"


NEVER = Script(never_healthy=True, output="cannot find my database")


async def test_an_update_that_never_gets_healthy_goes_back_to_what_served(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    before = lab.world(stack)
    lab.docker.script(second_version, NEVER)
    lab.gate.seen = lambda what: assert_serving(lab, stack, what)
    with pytest.raises(UpdateFailed, match=r"cannot find my database(.|\n)*back at revision 1"):
        await lab.deploy(stack, shop(2, db_version=2))
    assert lab.world(stack) == before, "db, which had been updated well, went back too"
    head = await lab.head(stack)
    assert (head.latest, head.wanted, head.serving, head.settled) == (2, 1, 1, True)
    assert (await lab.deploy(stack, shop())).changes == ()


def assert_serving(lab: Lab, stack: str, what: str) -> None:
    serving = {server.name for server in lab.haproxy.desired(stack).servers if server.state == "serving"}
    assert serving & set(lab.running(stack, "web")), f"nobody serves after: {what}"


async def test_a_neighbour_that_has_been_unhealthy_for_long_does_not_stop_the_way_back(lab: Lab, stack: str) -> None:
    side = 'services:\n  a: {image: "stampede-test/busybox:1", healthcheck: {test: ["CMD", "true"], interval: 50ms}}'
    await lab.deploy(stack, shop(replicas=1).replace("services:", side))
    before = lab.world(stack)
    (ailing,) = lab.running(stack, "a")
    lab.docker.by_name[ailing].script = NEVER
    lab.docker.by_name[ailing].change(health="unhealthy")
    lab.docker.script(second_version, NEVER)
    with pytest.raises(UpdateFailed, match="back at revision 1"):
        await lab.deploy(stack, shop(2, replicas=1).replace("services:", side))
    assert lab.world(stack) == before
    outcome = await lab.rollback(stack, 1)
    assert outcome.warnings == (f"{stack}-a-1 is unhealthy",)


async def test_with_pause_everything_stays_as_it_is_until_the_next_deploy(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    lab.docker.script(second_version, NEVER)
    with pytest.raises(UpdatePaused):
        await lab.deploy(stack, shop(2, failure_action="pause"))
    assert len(lab.running(stack, "web")) == 3, "the old ones serve, and the new one can be looked at"
    assert (await lab.head(stack)).wanted == 2
    await lab.deploy(stack, shop(3))
    assert len(lab.found(stack, "web")) == 2


async def test_with_continue_the_others_are_updated_and_a_warning_tells(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    lab.docker.script(lambda instance: second_version(instance) and instance.slot == 1, NEVER)
    outcome = await lab.deploy(stack, shop(2, failure_action="continue"))
    assert [warning for warning in outcome.warnings if "web-1" in warning]
    assert len(lab.running(stack, "web")) == 3, "web-1 keeps its old instance, which serves"


async def test_a_daemon_that_refuses_one_step_makes_the_update_go_back(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    before = lab.world(stack)
    lab.gate.calm()
    lab.gate.refuse_at = 2
    with pytest.raises(UpdateFailed, match="refused: start"):
        await lab.deploy(stack, shop(2))
    assert lab.world(stack) == before


async def test_a_fenced_change_touches_nothing_and_does_not_go_back(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    before = lab.world(stack)
    check_fence(lab.hosts["h1"].places, stack, 1000)
    lab.gate.calm()
    with pytest.raises(Fenced):
        await lab.deploy(stack, shop(2))
    assert lab.gate.passed == []
    assert lab.world(stack) == before
    assert (await lab.head(stack)).serving == 1


async def test_from_its_look_at_a_host_on_a_change_has_overtaken_all_earlier_ones(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    places, seen = lab.hosts["h1"].places, list[int]()
    earlier = highest_fence(places, stack)
    lab.gate.seen = lambda _: seen.append(highest_fence(places, stack))
    await lab.deploy(stack, shop(2))
    assert seen[0] > earlier


async def test_a_change_that_is_overtaken_in_the_middle_stops_there(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    lab.gate.calm()
    lab.gate.seen = lambda _: check_fence(lab.hosts["h1"].places, stack, 1000)
    with pytest.raises(Fenced):
        await lab.deploy(stack, shop(2))
    assert len(lab.gate.passed) == 1
    assert len(lab.running(stack, "web")) == 2


async def test_a_refused_configuration_of_the_balancer_is_told_and_nothing_is_replaced(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    before = lab.world(stack)
    lab.haproxy.refuses = "line 7: what?"
    with pytest.raises(DaemonError, match="line 7"):
        await lab.deploy(stack, shop(2).replace("18080", "18081"))
    assert lab.world(stack) == before
    lab.haproxy.refuses = ""
    await lab.deploy(stack, shop(2).replace("18080", "18081"))
    assert lab.world(stack)["balanced"]["h1"][0] == ["*:18081"]


@pytest.mark.usefixtures("no_pauses")
async def test_a_daemon_that_is_away_is_told_as_that(lab: Lab, stack: str) -> None:
    lab.docker.away = True
    with pytest.raises(DaemonUnavailable):
        await lab.deploy(stack, shop())
    lab.docker.away = False
    await lab.deploy(stack, shop())
    assert len(lab.running(stack)) == 3
