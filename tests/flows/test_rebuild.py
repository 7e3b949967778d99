"""A server that has forgotten everything learns it from its hosts."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client

from stampede.blocks.documents import Documents
from stampede.blocks.host_revisions import read_revisions, read_standing
from stampede.documents import head_name
from stampede.errors import Fenced
from stampede.flows.rebuild_server import rebuild_server
from stampede.locking import fence_name
from stampede.tasks import recalling
from stampede.tasks.fences import highest_fence
from tests.flows.lab import Lab
from tests.flows.stack_files import shop


@pytest.fixture(autouse=True)
def no_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(recalling, "ensure_stack_deployments", nothing)


async def forget(stack: str) -> None:
    """As if the database of the server had been lost, as far as this stack goes."""
    async with get_client() as client:
        for name in (head_name(stack), fence_name(stack)):
            await client.delete_variable_by_name(name)
        for number in range(1, 5):
            await Documents(client).delete_revision(stack, number)


async def test_what_runs_is_known_again_and_nothing_changes(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    await lab.deploy(stack, shop(2))
    before, head = lab.world(stack), await lab.head(stack)
    fence = highest_fence(lab.hosts["h1"].places, stack)
    await forget(stack)

    for _ in range(2):
        (rebuilt,) = [each for each in await rebuild_server() if each.stack == stack]
        assert (rebuilt.revision, rebuilt.revisions) == (2, (1, 2))
    assert await lab.head(stack) == head
    again = await lab.deploy(stack, shop(2))
    assert (again.revision, again.changes) == (2, ())
    assert lab.world(stack) == before
    assert (await lab.rollback(stack, 1)).revision == 1
    assert highest_fence(lab.hosts["h1"].places, stack) > fence


async def test_a_deploy_that_comes_before_the_rebuild_is_fenced_and_gives_way(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    await lab.deploy(stack, shop(2))
    before = lab.world(stack)
    await forget(stack)
    with pytest.raises(Fenced, match="overtaken"):
        await lab.deploy(stack, shop(3))
    assert lab.world(stack) == before
    await rebuild_server()
    assert (await lab.deploy(stack, shop(2))).changes == ()


async def test_a_revision_without_work_for_a_host_reaches_it_all_the_same(lab: Lab, stack: str) -> None:
    await lab.deploy(stack, shop())
    outcome = await lab.deploy(stack, shop(failure_action="pause"))
    assert (outcome.revision, outcome.changes) == (2, ())
    places = lab.hosts["h1"].places
    standing = read_standing(places, stack)
    assert standing
    assert (standing.wanted, standing.serving) == (2, 2)
    assert [revision.number for revision in read_revisions(places, stack)] == [1, 2]
    await lab.remove(stack)
    assert read_standing(places, stack) is None
    assert list(read_revisions(places, stack)) == []
