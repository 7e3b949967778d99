"""Who holds the lock of a stack: a Prefect variable that names the run that changes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stampede.client.api import PrefectApi
from stampede.client.runs import RunGoesOn, cancel_run, close_run, follow
from stampede.errors import UnknownName
from stampede.frozen import Frozen
from stampede.locking import described, lock_name


class Lock(Frozen):
    """A change that is under way: its flow run, who asked for it and why. What is not known is empty."""

    stack: str
    id: str
    run: str
    run_name: str = ""
    who: str = ""
    why: str = ""
    since: datetime | None = None

    @property
    def described(self) -> str:
        """For people: `by ann@desk since … (release 7), run 'deploy shop' (its id)`."""
        return described(who=self.who, since=str(self.since or "?"), why=self.why, run=self.run, name=self.run_name)


def read_lock(api: PrefectApi, stack: str) -> Lock | None:
    """The lock of a stack, or None when nobody holds it. Raises: BadInput for what is not a stack's name."""
    found: dict[str, Any] | None = api.get(f"/variables/name/{lock_name(stack)}")
    if found is None:
        return None
    value = found["value"] if isinstance(found["value"], dict) else {}
    since = value.get("since")
    return Lock(
        stack=stack,
        id=found["id"],
        run=str(value.get("run") or ""),
        run_name=str(value.get("run_name") or ""),
        who=str(value.get("who") or ""),
        why=str(value.get("why") or ""),
        since=datetime.fromisoformat(since) if since else None,
    )


def release(api: PrefectApi, lock: Lock, within_s: float) -> None:
    """Afterwards the run that held this very lock is final and the lock gone. A lock that was taken since stays.

    A run that does not stop within `within_s` is closed without it: hosts refuse its fencing number from then on.
    """
    try:
        cancel_run(api, lock.run)
        follow(api, lock.run, timeout_s=within_s)
    except UnknownName:
        pass  # The run was removed since: nothing is left to cancel.
    except RunGoesOn:
        close_run(api, lock.run)
    api.delete(f"/variables/{lock.id}")
