"""Which services use a volume, in the order in which they start. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from stampede.planning.dependencies import levels
from stampede.planning.found import FoundInstance
from stampede.stackfile.models import Stack
from stampede.stackfile.policies import Command, Hooks


class HookRun(NamedTuple):
    """A command that runs in a container around a snapshot. `before` and `after` may be empty."""

    container: str
    label: str
    before: Command
    after: Command


def services_on(stack: Stack, volumes: Collection[str]) -> list[str]:
    """Services that mount any of these volumes (by Docker's names), those that others depend on first."""
    keys = {key for key, volume in stack.volumes.items() if volume.name in volumes}
    using = {
        name
        for name, service in stack.services.items()
        if any(mount.type == "volume" and mount.source in keys for mount in service.volumes)
    }
    return [name for level in levels(stack.services) for name in level if name in using]


def has_hooks(stack: Stack) -> bool:
    """Whether any service has commands around snapshots."""
    return any(service.hooks != Hooks() for service in stack.services.values())


def hooks_around(stack: Stack, volumes: Collection[str], running: Sequence[FoundInstance]) -> list[HookRun]:
    """What runs in which of the `running` instances around a snapshot of these volumes."""
    return [
        HookRun(found.id, found.label, hooks.before_snapshot, hooks.after_snapshot)
        for service in services_on(stack, volumes)
        if (hooks := stack.services[service].hooks) != Hooks()
        for found in running
        if found.service == service and found.state == "running"
    ]


def users_to_stop(stack: Stack, volumes: Collection[str], found: Sequence[FoundInstance]) -> list[FoundInstance]:
    """Instances that have these volumes open, in the order in which they stop: dependents before what they need."""
    order = list(reversed(services_on(stack, volumes)))
    up = [one for one in found if one.service in order and one.state in ("running", "restarting", "paused")]
    return sorted(up, key=lambda one: (order.index(one.service), one.slot))
