"""Wanted against found: the steps that make a stack what a revision says, in order, with reasons. Pure."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from stampede.planning.changes import Action, Change, Lane, Plan, Roll, Stage, Until, Wave
from stampede.planning.dependencies import levels, must_complete, shares_with
from stampede.planning.found import FoundHost, FoundInstance
from stampede.planning.instances import Instance
from stampede.planning.leaving import leaving_stages
from stampede.planning.placement import Slot
from stampede.planning.preparations import prepare
from stampede.planning.slots import NO_DOUBT, Doubt, decide, restart
from stampede.planning.update_order import update_order
from stampede.stackfile.models import Service, Stack
from stampede.volumes.room import human, volume_size


@dataclass(frozen=True)
class Demands:
    """What a verb asks for beyond what the file says: services to restart, or to replace although nothing changed."""

    restart: frozenset[str] = frozenset()
    recreate: frozenset[str] = frozenset()
    remove_volumes: bool = False


@dataclass(frozen=True)
class Situation:
    """Everything a plan looks at. `wanted` is None when the stack shall go; `revisions` explain what changed.

    `doubt` is what the last change may have left behind, if it did not end well. `stores` are those that take backups.
    """

    stack: str
    wanted: Stack | None
    instances: tuple[Instance, ...]
    hosts: tuple[FoundHost, ...]
    revisions: Mapping[int, Stack] = field(default_factory=dict)
    demands: Demands = Demands()
    doubt: Doubt = NO_DOUBT
    stores: frozenset[str] = frozenset()


def plan_stack(situation: Situation) -> Plan:
    """The steps from found to wanted; an empty plan when nothing has to change."""
    services = situation.wanted.services if situation.wanted else {}
    rolls = _rolls(situation, services)
    first, last = leaving_stages(_leaving(situation), situation.wanted, situation.revisions)
    changing = [stage for level in levels(services) if (stage := _stage(level, services, rolls))]
    stages = [*first, *changing, *last]
    moved = [roll for stage in stages for lane in stage.lanes for wave in lane.waves for roll in wave.rolls]
    touched = {(roll.service, roll.slot) for roll in moved}
    preparations, changes = prepare(
        situation.stack,
        situation.wanted,
        situation.instances,
        situation.hosts,
        touched,
        situation.demands.remove_volumes,
    )
    return Plan(
        stack=situation.stack,
        changes=(
            *(change for change in changes if change.action is not Action.REMOVE),
            *(Change(action=r.action, kind="instance", name=r.label, host=r.host, reason=r.reason) for r in moved),
            *(change for change in changes if change.action is Action.REMOVE),
        ),
        preparations=preparations,
        stages=tuple(stages),
        unchanged=tuple(i.label for i in situation.instances if (i.service, i.slot) not in touched),
        warnings=(
            *_warnings(services, rolls),
            *_ailing(situation, touched),
            *_volumes_that_stay(situation),
            *_volumes_that_shrink(situation),
            *_volumes_without_store(situation),
        ),
    )


def _rolls(situation: Situation, services: Mapping[str, Service]) -> dict[str, list[Roll]]:
    """What happens to each service's wanted slots, in the order of the services' dependencies."""
    found = _by_slot(situation.hosts, situation.stack)
    completing = must_complete(services)
    homes = {host.host: host for host in situation.hosts}
    wanted: dict[str, list[Instance]] = defaultdict(list)
    for instance in situation.instances:
        wanted[instance.service].append(instance)
    rolls: dict[str, list[Roll]] = {}
    for name in (name for level in levels(services) for name in level):
        until: Until = "completed" if name in completing else "healthy"
        dragged = "asked for" if name in situation.demands.restart else _dragged_along(services[name], rolls)
        demanded = "asked for" if name in situation.demands.recreate else ""
        rolls[name] = []
        for instance in wanted[name]:
            there = found.get((name, instance.slot), [])
            recreated, restarted = _of_companions(instance, services, rolls)
            deciding = functools.partial(
                decide,
                instance,
                there,
                until=until,
                before=_service_before(there, situation.revisions),
                doubt=situation.doubt,
            )
            roll = deciding(recreate=demanded or recreated)
            if why := _unfit(instance, _to_be_started(roll, there), homes[instance.host]):
                roll = deciding(recreate=why)
            if (roll is None or roll.action is Action.WAIT) and (why := dragged or restarted):
                roll = restart(instance, there[0], why, until)
            rolls[name] += [roll] if roll else []
    _await_dependencies(services, situation, found, rolls)
    return rolls


def _to_be_started(roll: Roll | None, there: Sequence[FoundInstance]) -> FoundInstance | None:
    """The container that the roll starts as it is, if it does."""
    kept = roll.kept.id if roll and roll.kept and roll.action in (Action.START, Action.CREATE) else None
    return next((found for found in there if found.id == kept), None)


def _unfit(instance: Instance, found: FoundInstance | None, host: FoundHost) -> str:
    """Why a container that does not run cannot simply be started; empty if it can, or there is none.

    Docker ties it to the very networks that it was made on, also when there are others of their names by now.
    """
    if found is None:
        return ""
    if instance.name != found.name:
        return "its name was changed"
    ours = {network.name: network.id for network in host.networks}
    for name in sorted(instance.networks):
        if name not in {*ours, *host.other_networks} or found.network_ids.get(name) not in (None, "", ours.get(name)):
            return f"its network {name} is gone"
    return ""


def _dragged_along(service: Service, rolls: Mapping[str, list[Roll]]) -> str:
    """Why a service restarts because of what happens to those it depends on; empty if it does not."""
    moving = {Action.REPLACE, Action.RESTART, Action.START}
    for other, dependency in service.depends_on.items():
        if dependency.restart and any(roll.action in moving for roll in rolls.get(other, ())):
            return f"{other} changes, and depends_on.{other}.restart asks for it"
    return ""


def _of_companions(
    instance: Instance, services: Mapping[str, Service], rolls: Mapping[str, list[Roll]]
) -> tuple[str, str]:
    """Why an instance is replaced, and why it is restarted, because of those whose namespaces it shares.

    A container is bound to the very container whose namespace it shares: if that one is made anew, so is this one.
    """
    recreated = restarted = ""
    for other in sorted(shares_with(instance.spec) & services.keys()):
        number = instance.slot if instance.slot <= services[other].replicas else 1
        actions = {roll.action for roll in rolls.get(other, ()) if roll.slot == number}
        if actions & {Action.CREATE, Action.REPLACE}:
            recreated = f"it shares a namespace of {other}, which is made anew"
        elif actions & {Action.START, Action.RESTART}:
            restarted = f"it shares a namespace of {other}, which starts anew"
    return recreated, restarted


def _await_dependencies(
    services: Mapping[str, Service],
    situation: Situation,
    found: Mapping[Slot, list[FoundInstance]],
    rolls: dict[str, list[Roll]],
) -> None:
    """Before a service starts, those it needs healthy (or completed) are waited for even if they do not change."""
    starting = {Action.CREATE, Action.REPLACE, Action.START}
    for name, service in services.items():
        if not any(roll.action in starting for roll in rolls[name]):
            continue
        for other, dependency in service.depends_on.items():
            if dependency.condition == "service_started" or rolls.get(other):
                continue
            rolls[other] = [
                roll
                for instance in situation.instances
                if instance.service == other
                for roll in _wait(instance, found[other, instance.slot][0], name, dependency.condition)
            ]


def _wait(instance: Instance, there: FoundInstance, waiting: str, condition: str) -> list[Roll]:
    if condition == "service_completed_successfully":
        done = there.state == "exited" and there.exit_code == 0
    else:
        done = there.state == "running" and there.health == "healthy"
    if done:
        return []
    until: Until = "completed" if condition == "service_completed_successfully" else "healthy"
    return [restart(instance, there, f"{waiting} waits for it", until).model_copy(update={"action": Action.WAIT})]


def _stage(level: Sequence[str], services: Mapping[str, Service], rolls: Mapping[str, list[Roll]]) -> Stage | None:
    lanes = [_lane(name, services[name], rolls[name]) for name in level if rolls[name]]
    return Stage(lanes=tuple(lanes)) if lanes else None


def _lane(name: str, service: Service, rolls: Sequence[Roll]) -> Lane:
    """New slots at once, since they take nothing away; then replacements and restarts in waves of `parallelism`."""
    policy = service.deploy.update_config
    gentle = [r for r in rolls if r.action in (Action.REPLACE, Action.RESTART)]
    first = [r for r in rolls if r not in gentle]
    step = policy.parallelism or len(gentle) or 1
    waves = [Wave(rolls=tuple(first))] if first else []
    waves += [
        Wave(rolls=tuple(gentle[i : i + step]), pause_s=policy.delay if i + step < len(gentle) else 0.0)
        for i in range(0, len(gentle), step)
    ]
    return Lane(
        service=name,
        waves=tuple(waves),
        on_failure=policy.failure_action,
        max_failure_ratio=policy.max_failure_ratio,
    )


def _leaving(situation: Situation) -> list[FoundInstance]:
    wanted = {(instance.service, instance.slot) for instance in situation.instances}
    found = _by_slot(situation.hosts, situation.stack)
    return [instance for slot, there in sorted(found.items()) if slot not in wanted for instance in there]


def _by_slot(hosts: Sequence[FoundHost], stack: str) -> dict[Slot, list[FoundInstance]]:
    by_slot: dict[Slot, list[FoundInstance]] = defaultdict(list)
    for host in hosts:
        for found in host.instances:
            if found.stack == stack:
                by_slot[found.service, found.slot].append(found)
    return by_slot


def _service_before(there: Sequence[FoundInstance], revisions: Mapping[int, Stack]) -> Service | None:
    before = revisions.get(there[0].revision) if there else None
    return before.services.get(there[0].service) if before else None


def _warnings(services: Mapping[str, Service], rolls: Mapping[str, list[Roll]]) -> tuple[str, ...]:
    replaced = {name for name, of in rolls.items() if any(r.action is Action.REPLACE for r in of)}
    carried = {name for name in replaced if any(o.anonymous_volumes for r in rolls[name] for o in r.old)}
    found = ((name, update_order(services[name], carries_anonymous=name in carried)[2]) for name in sorted(replaced))
    return tuple(f"{name}: {warning}" for name, warning in found if warning)


def _ailing(situation: Situation, touched: Set[Slot]) -> tuple[str, ...]:
    """Instances that are as wanted and proved themselves once, but are not well now, which no deploy can mend."""
    wanted = {(instance.service, instance.slot) for instance in situation.instances} - touched
    there = [found for host in situation.hosts for found in host.instances if found.stack == situation.stack]
    return tuple(
        f"{found.label} is {'restarted again and again' if found.state == 'restarting' else 'unhealthy'}"
        for found in there
        if (found.service, found.slot) in wanted and (found.state == "restarting" or found.health == "unhealthy")
    )


def _volumes_that_shrink(situation: Situation) -> tuple[str, ...]:
    """Volumes whose size in the file is less than what they have, as that of an earlier revision may be."""
    wanted = situation.wanted.volumes if situation.wanted else {}
    there = {volume.name: volume.size_bytes or 0 for host in situation.hosts for volume in host.volumes}
    return tuple(
        f"volumes.{key}.x-size: {volume.name} holds {human(there[volume.name])} and stays so: a volume never shrinks"
        for key, volume in wanted.items()
        if volume.size is not None and there.get(volume.name, 0) > volume_size(volume.size)
    )


def _volumes_without_store(situation: Situation) -> tuple[str, ...]:
    """Volumes that are not backed up yet: stores are added by hand, and a stack may come before its store."""
    wanted = situation.wanted.volumes if situation.wanted else {}
    return tuple(
        f"volumes.{key}.x-backups.store: there is no store {volume.backups.store} yet, and no backups without it"
        f" (stampede store add {volume.backups.store} …)"
        for key, volume in wanted.items()
        if volume.backups and volume.backups.store not in situation.stores
    )


def _volumes_that_stay(situation: Situation) -> tuple[str, ...]:
    """What --volumes leaves: it was adopted, and whoever made it removes it."""
    if not situation.demands.remove_volumes:
        return ()
    adopted = sorted({volume.name for host in situation.hosts for volume in host.volumes if volume.adopted})
    return tuple(f"volume {name} stays: Compose made it; docker volume rm {name} removes it" for name in adopted)
