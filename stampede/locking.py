"""The lock of a stack as it lies in the Prefect API: a variable that says which run holds it, why and since when.

Creating a variable is atomic. Its id is new at each creation, so only a lock that one has seen can be deleted. It holds
as long as the run that it names is not final. Here is what flows and the command line share; it imports no Prefect.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from stampede.errors import BadInput, StackLocked
from stampede.frozen import Frozen
from stampede.results import FINAL_STATES

if TYPE_CHECKING:
    import httpx

POLL_S = 0.5
_STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class LockValue(Frozen):
    """What the variable says. `fence` is 0 until the holder has taken its number; `since` is ISO 8601, UTC."""

    run: str
    run_name: str
    why: str
    since: str
    who: str = ""
    fence: int = 0


class HeldLock(Frozen):
    """A lock that somebody holds, with the id under which it can be deleted."""

    id: str
    value: LockValue


def lock_name(stack: str) -> str:
    """The name of the variable that is the lock. Raises: BadInput for what is not a stack's name."""
    return f"lock-{_checked(stack)}"


def fence_name(stack: str) -> str:
    """The name of the variable that counts the acquisitions. Raises: BadInput for what is not a stack's name."""
    return f"fence-{_checked(stack)}"


def locked_by(stack: str, value: LockValue) -> StackLocked:
    """The error that says who holds the lock, why and since when."""
    who = f" by {value.who}" if value.who else ""
    return StackLocked(
        f"{stack} is being changed by {value.run_name!r} ({value.why}), started{who} at {value.since}",
        f"wait for it, or stop it: stampede unlock -p {stack}",
    )


def read_lock(http: httpx.Client, stack: str) -> HeldLock | None:
    """The lock of a stack, if there is one. It may be stale: its run may be final."""
    answer = http.get(f"/variables/name/{lock_name(stack)}")
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    return HeldLock(id=answer.json()["id"], value=LockValue.model_validate(answer.json()["value"]))


def unlock(http: httpx.Client, stack: str, *, why: str = "stampede unlock", wait_s: float = 20.0) -> LockValue | None:
    """Cancel the run that holds the lock, and remove the lock; returns what it said, None when nobody held it.

    The run gets `wait_s` seconds to stop by itself. After that it is called Cancelled although its code may still be
    working: the next change has a higher fencing number, which stops it at its next side effect.
    """
    held = read_lock(http, stack)
    if held is None:
        return None
    run = f"/flow_runs/{held.value.run}"
    _set_state(http, run, "CANCELLING", why, force=False)
    deadline = time.monotonic() + wait_s
    while not _is_final(http, run):
        if time.monotonic() > deadline:
            _set_state(http, run, "CANCELLED", why, force=True)
            break
        time.sleep(POLL_S)
    http.delete(f"/variables/{held.id}")
    return held.value


def _set_state(http: httpx.Client, run: str, kind: str, message: str, *, force: bool) -> None:
    state: dict[str, Any] = {"type": kind, "name": kind.capitalize(), "message": message}
    answer = http.post(f"{run}/set_state", json={"state": state, "force": force})
    if answer.status_code != 404:
        answer.raise_for_status()


def _is_final(http: httpx.Client, run: str) -> bool:
    answer = http.get(run)
    return answer.status_code == 404 or answer.json()["state_type"] in FINAL_STATES


def _checked(stack: str) -> str:
    if not _STACK_NAME.fullmatch(stack):
        raise BadInput(f"{stack!r} is not a name of a stack", "lower-case letters, digits, - and _")
    return stack
