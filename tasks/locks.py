"""One change at a time per stack, with a fencing number that rises with each acquisition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.context import AsyncClientContext  # noqa: TID251  the run's own client: a new one costs a connection
from prefect.logging import get_logger
from prefect.runtime import flow_run

from stampede.errors import BadInput, Fenced
from stampede.frozen import Frozen
from stampede.locking import HeldLock, LockValue, fence_name, lock_name, locked_by
from stampede.results import FINAL_STATES

POLL_S = 0.5
_log = get_logger("stampede.locks")


class StackLock(Frozen):
    """The lock of a stack while it is held. Pass `fence` to every host flow: hosts refuse lower numbers."""

    stack: str
    fence: int


@asynccontextmanager
async def stack_lock(stack: str, *, who: str, why: str, wait_s: float = 0.0) -> AsyncIterator[StackLock]:
    """Hold the lock of a stack inside a flow run. A run that was resumed finds its own lock and its own number again.

    `who` asked for the change ("": not known) and `why`: others who want the lock are told. When the process is killed
    the lock stays with the run, and holds until the run is final.
    Raises: StackLocked after `wait_s` seconds; BadInput outside of a flow run.
    """
    if not flow_run.id:
        raise BadInput("A lock belongs to a flow run, and there is none here", "start the operation as a flow")
    wanted = LockValue(
        run=str(flow_run.id),
        run_name=str(flow_run.name),
        why=why,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        who=who,
    )
    async with AsyncClientContext.get_or_create() as clients:
        held = await _acquire(clients.client, stack, wanted, wait_s)
        fence = held.value.fence or await _take_number(clients.client, stack, held)
        _log.info("holding the lock of %s with number %d", stack, fence)
        try:
            yield StackLock(stack=stack, fence=fence)
        finally:
            await asyncio.shield(_release(clients.client, stack, held.id))


async def _acquire(client: PrefectClient, stack: str, wanted: LockValue, wait_s: float) -> HeldLock:
    deadline = time.monotonic() + wait_s
    body = {"name": lock_name(stack), "value": wanted.model_dump(), "tags": ["stampede", "lock"]}
    waiting = False
    while True:
        made = await _create(client, body)
        if made is not None:
            return HeldLock(id=made, value=wanted)
        held = await _read(client, stack)
        if held is None:
            continue
        if held.value.run == wanted.run:
            return held
        if await _is_final(client, held.value.run):
            await _ask(client, "DELETE", "/variables/{id}", {"id": held.id})
            continue
        if time.monotonic() >= deadline:
            raise locked_by(stack, held.value)
        if not waiting:
            _log.info("waiting for the lock of %s: %s", stack, locked_by(stack, held.value).message)
            waiting = True
        await asyncio.sleep(POLL_S)


async def _take_number(client: PrefectClient, stack: str, held: HeldLock) -> int:
    """The next fencing number, noted in the lock for a resumed run.

    A holder that lost its lock meanwhile may have raised the number, too. So the lock is looked at afterwards.
    Raises: Fenced when it is not ours any more.
    """
    where = {"name": fence_name(stack)}
    before = await _ask(client, "GET", "/variables/name/{name}", where)
    if before is None:
        number = 1
        await _create(client, {"name": where["name"], "value": number, "tags": ["stampede", "fence"]})
    else:
        number = int(before["value"]) + 1
        await _ask(client, "PATCH", "/variables/name/{name}", where, {"value": number})
    noted = held.value.model_copy(update={"fence": number}).model_dump()
    if await _ask(client, "PATCH", "/variables/{id}", {"id": held.id}, {"value": noted}) is None:
        raise Fenced(f"The lock of {stack} was taken away before the change began")
    return number


async def _create(client: PrefectClient, body: dict[str, Any]) -> str | None:
    """The id of the new variable; None when one of this name exists."""
    try:
        return str((await client.request("POST", "/variables/", json=body)).json()["id"])
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 409:
            return None
        raise


async def _read(client: PrefectClient, stack: str) -> HeldLock | None:
    found = await _ask(client, "GET", "/variables/name/{name}", {"name": lock_name(stack)})
    return None if found is None else HeldLock(id=found["id"], value=LockValue.model_validate(found["value"]))


async def _is_final(client: PrefectClient, run_id: str) -> bool:
    run = await _ask(client, "GET", "/flow_runs/{id}", {"id": run_id})
    return run is None or run["state_type"] in FINAL_STATES


async def _ask(
    client: PrefectClient,
    method: Literal["GET", "PATCH", "DELETE"],
    path: Literal["/variables/name/{name}", "/variables/{id}", "/flow_runs/{id}"],
    where: dict[str, str],
    body: object = None,
) -> Any:
    """The API's answer, {} for an empty one; None when there is no such thing. Raises: httpx.HTTPError."""
    try:
        answer = await client.request(method, path, path_params=where, json=body)
    except httpx.HTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise
    return answer.json() if answer.content else {}


async def _release(client: PrefectClient, stack: str, lock_id: str) -> None:
    try:
        await _ask(client, "DELETE", "/variables/{id}", {"id": lock_id})
    except httpx.HTTPError as error:
        # The run is about to be final, which makes the lock stale: the next contender removes it.
        _log.warning("the lock of %s could not be given back: %r", stack, error)
