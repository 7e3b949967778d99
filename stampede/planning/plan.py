"""Wanted against found: the steps that make a stack what a revision says, in order, with reasons. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stampede.planning.changes import Action, Change, Lane, Plan, Roll, Stage, Until, Wave
from stampede.planning.dependencies import levels, must_complete, shares_with
from stampede.planning.found import FoundHost, FoundInstance
from stampede.planning.instances import Instance
from stampede.planning.placement import Slot
from stampede.planning.preparations import prepare
from stampede.planning.slots import decide, removal, restart
from stampede.planning.update_order import update_order
from stampede.stackfile.models import Service, Stack


@dataclass(frozen=True)
class Demands:
    """What a verb asks for beyond what the file says: services to restart, or to replace although nothing changed."""

    restart: frozenset[str] = frozenset()
    recreate: frozenset[str] = frozenset()
    remove_volumes: bool = False


@dataclass(frozen=True)
class Situation:
    """Everything a plan looks at. `wanted` is None when the stack shall go; `revisions` explain what changed."""

    stack: str
    wanted: Stack | None
    instances: tuple[Instance, ...]
    hosts: tuple[FoundHost, ...]
    revisions: Mapping[int, Stack] = field(default_factory=dict)
    demands: Demands = Demands()


def plan_stack(situation: Situation) -> Plan:
    """The steps from found to wanted; an empty plan when nothing has to change."""
    services = situation.wanted.services if situation.wanted else {}
    rolls = _rolls(situation, services)
    stages = [stage for level in levels(services) if (stage := _stage(level, services, rolls))]
    leaving = _leaving(situation, services)
    stages += [
        Stage(lanes=tuple(Lane(service=s, waves=(Wave(rolls=tuple(r)),)) for s, r in sorted(leaving.items())))
    ] * bool(leaving)
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
        warnings=_warnings(services, rolls),
    )


def _rolls(situation: Situation, services: Mapping[str, Service]) -> dict[str, list[Roll]]:
    """What happens to each service's wanted slots, in the order of the services' dependencies."""
    found = _by_slot(situation.hosts, situation.stack)
    completing = must_complete(services)
    wanted: dict[str, list[Instance]] = defaultdict(list)
    for instance in situation.instances:
        wanted[instance.service].append(instance)
    rolls: dict[str, list[Roll]] = {}
    for name in (name for level in levels(services) for name in level):
        until: Until = "completed" if name in completing else "healthy"
        dragged = _dragged_along(services[name], rolls)
        rolls[name] = []
        for instance in wanted[name]:
            there = found.get((name, instance.slot), [])
            before = _service_before(there, situation.revisions)
            recreate = name in situation.demands.recreate
            roll = decide(instance, there, until=until, before=before, recreate=recreate)
            if roll is None and (why := "asked for" if name in situation.demands.restart else dragged):
                roll = restart(instance, there[0], why, until)
            rolls[name] += [roll] if roll else []
    _await_dependencies(services, situation, found, rolls)
    return rolls


def _dragged_along(service: Service, rolls: Mapping[str, list[Roll]]) -> str:
    """Why a service restarts because of what happens to those it depends on; empty if it does not."""
    moving = {Action.REPLACE, Action.RESTART, Action.START}
    for other, dependency in service.depends_on.items():
        if dependency.restart and any(roll.action in moving for roll in rolls.get(other, ())):
            return f"{other} changes, and depends_on.{other}.restart asks for it"
    for other in sorted(shares_with(service)):
        if any(roll.action in moving for roll in rolls.get(other, ())):
            return f"it shares a namespace of {other}, which changes"
    return ""


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


def _leaving(situation: Situation, services: Mapping[str, Service]) -> dict[str, list[Roll]]:
    wanted = {(instance.service, instance.slot) for instance in situation.instances}
    leaving: dict[str, list[Roll]] = defaultdict(list)
    for slot, there in sorted(_by_slot(situation.hosts, situation.stack).items()):
        if slot in wanted:
            continue
        if situation.wanted is None:
            why = "the stack is removed"
        else:
            why = f"scaled to {services[slot[0]].replicas}" if slot[0] in services else "not in the file any more"
        leaving[slot[0]] += [removal(f, why) for f in there]
    return leaving


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
