"""Verbs that are killed before every side effect in turn, or whose every side effect fails, and are run again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stampede.planning.changes import Outcome
from tests.flows.lab import Lab
from tests.flows.perils import Killed
from tests.flows.stack_files import shop

Verb = Callable[[], Awaitable[Outcome]]


async def kill_at_every_step(lab: Lab, verb: Verb) -> int:
    """The verb, run again and again, each time killed after one more side effect. Returns how often it was killed.

    So the world is left, and looked at anew, after every side effect that the verb has.
    """
    for killed in range(100):
        lab.gate.calm()
        lab.gate.kill_at = 2
        try:
            await verb()
        except Killed:
            continue
        lab.gate.calm()
        return killed
    raise AssertionError(f"does not end: {lab.gate.passed}")


async def reference(lab: Lab, stack: str, *verbs: Verb) -> dict[str, Any]:
    """The world after these verbs, without any interruption."""
    for verb in verbs:
        await verb()
    return lab.world(stack)


async def test_an_update_killed_before_any_of_its_steps_is_finished_by_the_next_run(lab: Lab, stack: str) -> None:
    """Back and forth between two versions, killed one step later each time."""
    texts = [shop(1, replicas=1), shop(2, db_version=2, replicas=1)]
    await lab.deploy(stack, texts[0])
    ends = [lab.world(stack)]
    await lab.deploy(stack, texts[1])
    ends.append(lab.world(stack))
    lab.gate.seen = lambda what: never_without_web_or_with_two_writers(lab, stack, what)
    step, finished = 1, False
    while not finished:
        target = step % 2
        lab.gate.calm()
        lab.gate.kill_at = step
        try:
            await lab.deploy(stack, texts[target - 1])
            finished = True
        except Killed:
            lab.gate.calm()
            await lab.deploy(stack, texts[target - 1])
        assert lab.world(stack) == ends[target - 1], f"killed before step {step}"
        step += 1
    assert step > 12


def never_without_web_or_with_two_writers(lab: Lab, stack: str, what: str) -> None:
    assert lab.running(stack, "web"), f"no web after: {what}"
    assert len(lab.running(stack, "db")) <= 1, f"two writers after: {what}"
    serving = [server for server in lab.haproxy.desired(stack).servers if server.state == "serving"]
    running = set(lab.running(stack, "web"))
    assert {server.name for server in serving} & running, f"nobody serves after: {what}"


async def test_all_verbs_killed_after_each_of_their_steps_converge(lab: Lab, stack: str) -> None:
    deployed = await reference(lab, f"{stack}x", lambda: lab.deploy(f"{stack}x", shop()))
    await lab.remove(f"{stack}x", volumes=True)

    assert await kill_at_every_step(lab, lambda: lab.deploy(stack, shop())) > 10
    assert lab.world(stack)["networks"] == [f"{stack}_default"]
    assert [state for *_, state in lab.world(stack)["instances"]] == [state for *_, state in deployed["instances"]]
    assert len(lab.world(stack)["balanced"]["h1"][1]) == 2
    small = lab.world(stack)

    assert await kill_at_every_step(lab, lambda: lab.scale(stack, web=3)) >= 3
    assert len(lab.running(stack, "web")) == 3
    assert await kill_at_every_step(lab, lambda: lab.rollback(stack, 1)) >= 3
    assert lab.world(stack) == small

    assert await kill_at_every_step(lab, lambda: lab.remove(stack, volumes=True)) > 5
    assert lab.world(stack) == {"instances": [], "networks": [], "volumes": [], "balanced": {"h1": ([], [])}}
    assert (await lab.head(stack)).wanted == 0


async def test_a_restart_killed_at_any_step_leaves_nothing_stopped_after_the_next_deploy(lab: Lab, stack: str) -> None:
    """The fake ends with exit code 143; a well-behaved program ends with 0, as if it had done what it had to do."""
    await lab.deploy(stack, shop(replicas=1))
    before = lab.world(stack)
    for step in range(1, 30):
        lab.gate.calm()
        lab.gate.kill_at = step
        try:
            await lab.restart(stack, "web")
            break
        except Killed:
            for container in lab.docker.by_name.values():
                if container.found.state == "exited":
                    container.change(exit_code=0)
            lab.gate.calm()
            await lab.deploy(stack, shop(replicas=1))
            assert lab.world(stack) == before, f"killed before step {step}"
    assert step > 3


@pytest.mark.usefixtures("no_pauses")
async def test_every_side_effect_may_fail_before_and_after_it_has_happened(lab: Lab, stack: str) -> None:
    """The daemons go away at each of them twice: once too early, and once too late, with the answer lost."""
    for text in (shop(), shop(2, db_version=2)):
        lab.gate.calm()
        lab.gate.stumbling = True
        await lab.deploy(stack, text)
        stumbled = lab.world(stack)
        lab.gate.calm()
        assert (await lab.deploy(stack, text)).changes == ()
        assert lab.world(stack) == stumbled
    assert len(lab.found(stack)) == 3
