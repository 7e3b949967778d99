"""A plan as pieces of work for hosts: as few as possible, because sending one to a host costs a quarter of a second."""

from __future__ import annotations

from collections.abc import Iterator

from stampede.frozen import Frozen
from stampede.planning.changes import Lane, Plan, Preparation, Stage, Wave


class HostWork(Frozen):
    """What one host does in one go: make ready, go through stages, clear away.

    `is_last` says that nothing of the plan comes after it, so that what only old instances needed may go.
    """

    preparation: Preparation = Preparation()
    stages: tuple[Stage, ...] = ()
    clear: Preparation = Preparation()
    is_last: bool = False


def batches(plan: Plan) -> Iterator[dict[str, HostWork]]:
    """Pieces to send to hosts, one set after the other. Stages that concern one host only go there in one piece."""
    first = {host: p for host, p in plan.preparations.items() if p.networks or p.volumes or not p.listening.is_right}
    last = {host: p for host, p in plan.preparations.items() if p.obsolete_networks or p.obsolete_volumes}
    hosts = sorted({*first, *last, *(host for stage in plan.stages for host in _hosts(stage))})
    if len(hosts) == 1:
        (host,) = hosts
        preparation, clear = first.get(host, Preparation()), last.get(host, Preparation())
        yield {host: HostWork(preparation=preparation, stages=plan.stages, clear=clear, is_last=True)}
        return
    if first:
        yield {host: HostWork(preparation=preparation) for host, preparation in first.items()}
    for stage in plan.stages:
        yield from _steps(stage)
    if hosts:
        yield {host: HostWork(clear=last.get(host, Preparation()), is_last=True) for host in hosts}


def _steps(stage: Stage) -> Iterator[dict[str, HostWork]]:
    """Wave by wave, because the hosts of a service take turns."""
    for number in range(max((len(lane.waves) for lane in stage.lanes), default=0)):
        lanes = [
            lane.model_copy(update={"waves": (lane.waves[number],)}) for lane in stage.lanes if number < len(lane.waves)
        ]
        yield {
            host: HostWork(stages=(Stage(lanes=tuple(_at(lane, host) for lane in lanes if host in lane.hosts)),))
            for host in sorted({host for lane in lanes for host in lane.hosts})
        }


def _hosts(stage: Stage) -> frozenset[str]:
    return frozenset(host for lane in stage.lanes for host in lane.hosts)


def _at(lane: Lane, host: str) -> Lane:
    waves = tuple(
        Wave(rolls=tuple(roll for roll in wave.rolls if roll.host == host), pause_s=wave.pause_s) for wave in lane.waves
    )
    return lane.model_copy(update={"waves": waves})
