"""One slot of a service: what is found there, what is wanted there, and so what has to happen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stampede.frozen import Frozen
from stampede.planning.changes import Action, Old, Roll, Until
from stampede.planning.found import FoundInstance
from stampede.planning.instances import Instance
from stampede.planning.reasons import why_replace
from stampede.planning.update_order import update_order
from stampede.stackfile.models import Service

CREATE_SETTLE_S = 1.0  # nothing is being replaced, so a short look suffices before the next step


class Doubt(Frozen):
    """What the last change left, if it did not end well: instances it stopped, and running ones it never proved."""

    stopped: bool = False
    running: bool = False


NO_DOUBT = Doubt()


def decide(
    wanted: Instance,
    found: Iterable[FoundInstance],
    *,
    until: Until = "healthy",
    before: Service | None = None,
    recreate: str = "",
    doubt: Doubt = NO_DOUBT,
) -> Roll | None:
    """What has to happen in this slot; None when it is as it should be.

    `before` is the service as the found instance's revision had it, for the reason. `recreate` is why it is replaced
    although its spec has not changed.
    """
    there = sorted(found, key=lambda f: (f.state == "running", f.created_at), reverse=True)
    same = [f for f in there if f.spec_hash == wanted.spec_hash and f.host == wanted.host and not recreate]
    kept, old = (same[0] if same else None), [f for f in there if not same or f.id != same[0].id]
    if kept is None and not old:
        return _roll(wanted, Action.CREATE, "it is not there yet", until=until, settle_s=CREATE_SETTLE_S)
    if kept is None:
        return _replacement(wanted, old, recreate or why_replace(old[0], wanted, before), until)
    if old:
        names = ", ".join(f.name for f in old)
        return _replacement(wanted, old, f"an earlier change was interrupted and left {names}", until, kept=kept)
    return _resumption(wanted, kept, until, doubt)


def _resumption(wanted: Instance, kept: FoundInstance, until: Until, doubt: Doubt) -> Roll | None:
    """What an instance with the right spec needs. One that was made but never started is made to the end."""
    if why := why_start(kept, wanted.spec, until, doubt):
        action = Action.CREATE if kept.state == "created" else Action.START
    elif doubt.running and kept.state in ("running", "restarting"):
        action, why = Action.WAIT, "an earlier change ended before it was proven"
    else:
        return None
    return _roll(wanted, action, why, until=until, kept=as_old(kept), settle_s=CREATE_SETTLE_S)


def why_start(found: FoundInstance, service: Service, until: Until, doubt: Doubt) -> str:
    """Why an instance with the right spec has to be started; empty if it runs, or has done what it had to do.

    A process may well end with exit code 0 when it is stopped. So after a change that was interrupted, that code only
    says of a job that it is done.
    """
    if found.state in ("running", "restarting"):
        return ""
    if found.state == "created":
        return "it was made, but never started"
    if found.state == "exited":
        done = found.exit_code == 0 and (until == "completed" or not runs_forever(service))
        if done and (until == "completed" or not doubt.stopped):
            return ""
        return f"it has stopped with exit code {found.exit_code}"
    return f"it is {found.state}"


def runs_forever(service: Service) -> bool:
    """Whether exit code 0 is a reason to start it again, as far as the file says so."""
    policy = service.deploy.restart_policy
    if policy is not None:
        return policy.condition in ("any", "unless-stopped")
    return service.restart in ("always", "unless-stopped")


def removal(found: FoundInstance, reason: str) -> Roll:
    """The slot goes."""
    return Roll(
        action=Action.REMOVE,
        service=found.service,
        slot=found.slot,
        host=found.host,
        label=found.label,
        old=(as_old(found),),
        reason=reason,
    )


def restart(wanted: Instance, kept: FoundInstance, reason: str, until: Until) -> Roll:
    """The same container, stopped and started."""
    return _roll(wanted, Action.RESTART, reason, until=until, kept=as_old(kept), settle_s=CREATE_SETTLE_S)


def as_old(found: FoundInstance) -> Old:
    """What a roll has to know of an instance that is there."""
    return Old(
        id=found.id,
        name=found.name,
        state=found.state,
        anonymous_volumes=found.anonymous_volumes,
        ports=found.ports,
    )


def _replacement(
    wanted: Instance, old: list[FoundInstance], why: str, until: Until, kept: FoundInstance | None = None
) -> Roll:
    order, because, _ = update_order(wanted.spec, carries_anonymous=any(f.anonymous_volumes for f in old))
    if any(f.name == wanted.name for f in old):
        order, because = "stop-first", because or "old and new have the same name"
    return _roll(
        wanted,
        Action.REPLACE,
        f"{why}; {order}: {because}" if because else why,
        until=until,
        settle_s=wanted.spec.deploy.update_config.monitor,
        kept=as_old(kept) if kept else None,
        old=tuple(as_old(f) for f in old),
        order=order,
    )


def _roll(wanted: Instance, action: Action, reason: str, **more: Any) -> Roll:
    return Roll(
        action=action,
        service=wanted.service,
        slot=wanted.slot,
        host=wanted.host,
        label=wanted.label,
        wanted=wanted.spec_hash,
        reason=reason,
        **more,
    )
