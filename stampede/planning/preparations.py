"""What hosts need before instances can start there: networks and volumes, and which of them nobody needs any more."""

from __future__ import annotations

from collections.abc import Sequence

from stampede.planning.changes import Action, Change, Preparation
from stampede.planning.found import FoundHost
from stampede.planning.instances import Instance
from stampede.stackfile.models import Stack


def prepare(
    stack: str, wanted: Stack | None, instances: Sequence[Instance], hosts: Sequence[FoundHost], remove_volumes: bool
) -> tuple[dict[str, Preparation], tuple[Change, ...]]:
    """Per host what to make and what to take away, and the same as lines for people. Names are Docker's."""
    preparations: dict[str, Preparation] = {}
    changes: list[Change] = []
    for host in hosts:
        here = [instance for instance in instances if instance.host == host.host]
        preparation = _of_host(stack, wanted, here, host, remove_volumes)
        if not preparation.is_empty:
            preparations[host.host] = preparation
        changes += _as_changes(preparation, host.host, wanted)
    return preparations, tuple(changes)


def _of_host(
    stack: str, wanted: Stack | None, here: Sequence[Instance], host: FoundHost, remove_volumes: bool
) -> Preparation:
    external = {n.name for n in wanted.networks.values() if n.external} if wanted else set()
    foreign = {v.name for v in wanted.volumes.values() if v.external} if wanted else set()
    networks = {name for instance in here for name in instance.networks} - external
    volumes = {name for instance in here for name in instance.volumes.values()} - foreign
    there = {n.name for n in host.networks if n.stack == stack}
    kept = {v.name for v in host.volumes if v.stack == stack}
    return Preparation(
        networks=tuple(sorted(networks - there)),
        volumes=tuple(sorted(volumes - kept)),
        obsolete_networks=tuple(sorted(there - networks)),
        obsolete_volumes=tuple(sorted(kept - volumes)) if remove_volumes else (),
    )


def _as_changes(preparation: Preparation, host: str, wanted: Stack | None) -> list[Change]:
    gone = "no service uses it any more" if wanted else "the stack is removed"
    return [
        *(
            Change(action=Action.CREATE, kind="network", name=n, host=host, reason="it is not there yet")
            for n in preparation.networks
        ),
        *(
            Change(action=Action.CREATE, kind="volume", name=n, host=host, reason="it is not there yet")
            for n in preparation.volumes
        ),
        *(
            Change(action=Action.REMOVE, kind="network", name=n, host=host, reason=gone)
            for n in preparation.obsolete_networks
        ),
        *(
            Change(action=Action.REMOVE, kind="volume", name=n, host=host, reason="asked for with --volumes")
            for n in preparation.obsolete_volumes
        ),
    ]
