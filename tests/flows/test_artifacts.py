"""What a person reads in Prefect's UI: the plan with its reasons, the outcome, and why a change failed."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client

from stampede.errors import UpdateFailed
from tests.flows.lab import Lab
from tests.flows.stack_files import shop
from tests.flows.test_failing_updates import NEVER, second_version


async def artifacts(kind: str, stack: str) -> list[str]:
    """Texts of all artifacts of this kind for a stack, the oldest first."""
    body = {"artifacts": {"key": {"any_": [f"{kind}-{stack.replace('_', '-')}"]}}, "sort": "ID_DESC", "limit": 200}
    async with get_client() as client:
        found = (await client.request("POST", "/artifacts/filter", json=body)).json()
    return [each["data"] for each in sorted(found, key=lambda each: str(each["created"]))]


async def test_plan_and_outcome_are_tables_with_reasons(lab: Lab, stack: str) -> None:
    outcome = await lab.deploy(stack, shop())
    (plan,) = await artifacts("plan", stack)
    (end,) = await artifacts("outcome", stack)
    assert "| what happens | to | on | because |" in plan
    for change in outcome.changes:
        row = f"| {change.action} | {change.kind} {change.name} | {change.host} | {change.reason} |"
        assert row in plan
        assert row in end
    await lab.deploy(stack, shop())
    assert "Nothing has to change." in (await artifacts("plan", stack))[-1]
    assert len(await artifacts("outcome", stack)) == 1, "nothing was done"


async def test_a_change_that_failed_shows_why_and_the_plan_of_the_way_back(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    lab.docker.script(second_version, NEVER)
    with pytest.raises(UpdateFailed):
        await lab.deploy(stack, shop(2))
    assert "cannot find my database" in (await artifacts("outcome", stack))[-1]
    plans = await artifacts("plan", stack)
    assert len(plans) == 3, "of the first deploy, of the second, and of the way back"
    assert "revision 1" in plans[-1]
