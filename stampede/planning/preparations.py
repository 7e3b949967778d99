"""What hosts need before instances can start there: networks and volumes, and which of them nobody needs any more."""

from __future__ import annotations

from collections.abc import Sequence, Set

from stampede.balancer.listeners import BalancedStack
from stampede.planning.changes import Action, Change, Kind, Preparation
from stampede.planning.found import FoundHost
from stampede.planning.instances import Instance
from stampede.planning.listening import compare_listening
from stampede.planning.placement import Slot
from stampede.stackfile.models import Stack
from stampede.volumes.room import volume_size


def prepare(
    stack: str,
    wanted: Stack | None,
    instances: Sequence[Instance],
    hosts: Sequence[FoundHost],
    touched: Set[Slot],
    remove_volumes: bool,
) -> tuple[dict[str, Preparation], tuple[Change, ...]]:
    """Per host what to make and what to take away, and the same as lines for people. Names are Docker's.

    `touched` are the slots that the plan's rolls change, and that join and leave the balancer by themselves.
    """
    preparations: dict[str, Preparation] = {}
    changes: list[Change] = []
    for host in hosts:
        here = [instance for instance in instances if instance.host == host.host]
        preparation = _of_host(stack, wanted, here, host, touched, remove_volumes)
        if not preparation.is_empty:
            preparations[host.host] = preparation
        changes += _as_changes(preparation, host.host, wanted)
    return preparations, tuple(changes)


def _of_host(
    stack: str,
    wanted: Stack | None,
    here: Sequence[Instance],
    host: FoundHost,
    touched: Set[Slot],
    remove_volumes: bool,
) -> Preparation:
    external = {n.name for n in wanted.networks.values() if n.external} if wanted else set()
    foreign = {v.name for v in wanted.volumes.values() if v.external} if wanted else set()
    networks = {name for instance in here for name in instance.networks} - external
    volumes = {name for instance in here for name in instance.volumes.values()} - foreign
    there = {n.name for n in host.networks if n.stack == stack}
    kept = {v.name for v in host.volumes if v.stack == stack}
    adopted = {v.name for v in host.volumes if v.adopted}
    sizes = {v.name: v.size_bytes for v in host.volumes if v.size_bytes is not None}
    wanted_sizes = {v.name: volume_size(v.size) for v in wanted.volumes.values() if v.size} if wanted else {}
    ours = [f for f in host.instances if f.stack == stack]
    staying = [f for f in ours if (f.service, f.slot) not in touched]
    balanced = host.balanced or BalancedStack(stack=stack)
    listening = compare_listening(stack, wanted, balanced, staying, runs=host.balancer_runs)
    moving = {(f.service, f.name) for f in ours if (f.service, f.slot) in touched}
    listening = listening.model_copy(
        update={"leaving": tuple(m for m in listening.leaving if (m.service, m.name) not in moving)}
    )
    return Preparation(
        listening=listening,
        networks=tuple(sorted(networks - there)),
        volumes=tuple(sorted(volumes - kept)),
        grown_volumes=tuple(sorted(v for v in volumes & kept if wanted_sizes.get(v, 0) > sizes.get(v, 0) > 0)),
        obsolete_networks=tuple(sorted(there - networks)),
        obsolete_volumes=tuple(sorted(kept - volumes - adopted)) if remove_volumes else (),
    )


def _as_changes(preparation: Preparation, host: str, wanted: Stack | None) -> list[Change]:
    gone = "no service uses it any more" if wanted else "the stack is removed"
    listening = preparation.listening
    lines: list[tuple[Action, Kind, Sequence[str], str]] = [
        (Action.CREATE, "network", preparation.networks, "it is not there yet"),
        (Action.CREATE, "volume", preparation.volumes, "it is not there yet"),
        (Action.UPDATE, "volume", preparation.grown_volumes, "it shall hold more"),
        (Action.CREATE, "listener", listening.added, "it is not published yet"),
        (Action.START, "listener", listening.closed, "the balancer does not run"),
        (Action.UPDATE, "listener", [m.name for m in listening.joining], "it runs, but the balancer does not know it"),
        (Action.UPDATE, "listener", [m.name for m in listening.leaving], "the balancer knows it, but it is gone"),
        (Action.REMOVE, "listener", listening.removed, "it is not published any more"),
        (Action.REMOVE, "network", preparation.obsolete_networks, gone),
        (Action.REMOVE, "volume", preparation.obsolete_volumes, "asked for with --volumes"),
    ]
    return [
        Change(action=action, kind=kind, name=name, host=host, reason=reason)
        for action, kind, names, reason in lines
        for name in names
    ]
