"""Deploying on fake hosts."""

from __future__ import annotations

from tests.flows.lab import Lab
from tests.flows.stack_files import shop


async def test_a_first_deploy_starts_everything_and_balances_what_is_published(lab: Lab, stack: str) -> None:
    import time
    t=time.time()
    outcome = await lab.deploy(stack, shop())
    print("T", time.time()-t)
    assert outcome.revision == 1
    assert len(lab.running(stack, "web")) == 2
    assert len(lab.running(stack, "db")) == 1
    print(lab.gate.passed)
    for v in range(2,5):
        t=time.time()
        await lab.deploy(stack, shop(v))
        print("T", time.time()-t)
    print(lab.world(stack))
