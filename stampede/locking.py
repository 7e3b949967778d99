"""The lock of a stack as it lies in the Prefect API: a variable that says which run holds it, why and since when.

Creating a variable is atomic. Its id is new at each creation, so only a lock that one has seen can be deleted. It holds
as long as the run that it names is not final. Here is what flows and the command line share; it imports no Prefect.
"""

from __future__ import annotations

import re

from stampede.errors import BadInput, StackLocked
from stampede.frozen import Frozen

_BACKUPS, _DRILL = "_backups-", "_drill-"  # no stack is called so
_LOCKABLE = re.compile(rf"({_BACKUPS}|{_DRILL})?[a-z0-9][a-z0-9_-]*")


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


def backups_of(stack: str) -> str:
    """What is locked while a stack's data is backed up, which changes nothing of the stack and may take hours."""
    return f"{_BACKUPS}{stack}"


def drill_of(stack: str) -> str:
    """What is locked while the backups of a stack are drilled."""
    return f"{_DRILL}{stack}"


def lock_name(stack: str) -> str:
    """The name of the variable that is the lock. Raises: BadInput for what is not a stack's name."""
    return f"lock-{_checked(stack)}"


def fence_name(stack: str) -> str:
    """The name of the variable that counts the acquisitions. Raises: BadInput for what is not a stack's name."""
    return f"fence-{_checked(stack)}"


def locked_by(stack: str, value: LockValue) -> StackLocked:
    """The error that says who holds the lock, why, since when, and which run it is."""
    told = described(who=value.who, since=value.since, why=value.why, run=value.run, name=value.run_name)
    for prefix, doing in ((_BACKUPS, "is being backed up"), (_DRILL, "is being drilled")):
        if stack.startswith(prefix):
            return StackLocked(
                f"{stack.removeprefix(prefix)} {doing} {told}",
                f"wait until it has ended, or stop it: stampede cancel {value.run}",
            )
    return StackLocked(
        f"{stack} is locked {told}", f"wait for it with --wait SECONDS, or stop it: stampede unlock -p {stack}"
    )


def described(*, who: str, since: str, why: str, run: str, name: str) -> str:
    """How a lock is told to people: `by ann@desk since … (release 7), run 'deploy shop' (its id)`."""
    by = f"by {who} " if who else ""
    return f"{by}since {since} ({why or 'no reason given'}), run {name!r} ({run})"


def _checked(stack: str) -> str:
    if not _LOCKABLE.fullmatch(stack):
        raise BadInput(f"{stack!r} is not a name of a stack", "lower-case letters, digits, - and _")
    return stack
