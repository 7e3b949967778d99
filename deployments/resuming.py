"""Instances that ran when Docker or the host went down run again afterwards, with or without a control plane.

Docker itself starts what crashed, and what the file says shall always run. What it leaves is a service without
`restart` whose program ended with exit code 0 because Docker told it to stop (by its policy it is done), and what it
could not start because a mount was missing. So this host remembers what ran. The worker starts it when Docker has
been away; at boot `python -m stampede.deployments.resuming` does.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from stampede.blocks.host_revisions import read_standing
from stampede.control_plane.services import write_private
from stampede.errors import DaemonError, StampedeError, Transient
from stampede.places import Places
from stampede.planning.found import FoundInstance
from stampede.tasks.this_host import ThisHost, this_host

# dockerd gives containers 15 s when it stops; one that ended that long ago, with dockerd still there, ended by itself.
ENDED_BY_ITSELF_S = 30.0
_NEVER_RESTARTED = ("", "no")
_UP = ("running", "restarting", "paused")
_log = logging.getLogger("stampede.resuming")

Ran = Mapping[str, float]
"""Names of containers that shall run again after an interruption, with when they were first seen ended (0: running)."""


def still_to_run(before: Ran, seen: Iterable[FoundInstance], now: float) -> dict[str, float]:
    """What to remember after a look at `now`: what runs, and what ended so lately that it may have been stopped."""
    ran: dict[str, float] = {}
    for instance in seen:
        if instance.state == "running" and instance.restart_policy not in _NEVER_RESTARTED:
            ran[instance.name] = 0.0
        elif instance.name in before and instance.state == "exited" and instance.exit_code == 0:
            first_seen = before[instance.name] or now
            if now - first_seen < ENDED_BY_ITSELF_S:
                ran[instance.name] = first_seen
    return ran


def remember(places: Places, seen: Iterable[FoundInstance], now: float) -> None:
    """Afterwards the file of this host says what has to run again after an interruption."""
    write_private(_file(places), json.dumps(still_to_run(remembered(places), seen, now), sort_keys=True) + "\n")


def remembered(places: Places) -> dict[str, float]:
    """What the file says; nothing when there is none."""
    try:
        ran: dict[str, float] = json.loads(_file(places).read_text())
    except FileNotFoundError:
        return {}
    return ran


def start_what_ran(host: ThisHost, seen: Iterable[FoundInstance]) -> list[str]:
    """Afterwards what is remembered and has ended runs again, but never beside another one of its slot.

    A change that was interrupted may have left an old instance that it stopped; two at once would write to one volume.
    Stacks that a change works on are left to it: it knows what shall run, and when it is resumed it starts that.
    One that cannot start is told of in the log and does not keep the others from it. Returns names.

    Raises: Transient while Docker is away.
    """
    ran, started = remembered(host.places), []
    for instance in only_one_of_each_slot(seen):
        if instance.name not in ran or is_being_changed(host.places, instance.stack):
            continue
        try:
            host.docker.containers.start(instance.id)
        except Transient:
            raise
        except DaemonError as error:
            _log.warning("%s ran when Docker went down, and cannot start: %s", instance.name, error)
        else:
            started.append(instance.name)
    return started


def is_being_changed(places: Places, stack: str) -> bool:
    """Whether a change of the stack has begun here and has not come to its end, as this host wrote down itself.

    The lock is on the server, which may be away at this moment. A change that this host was never told of has not
    touched anything here yet.
    """
    standing = read_standing(places, stack)
    return standing is not None and (standing.changing or standing.wanted != standing.serving)


def only_one_of_each_slot(seen: Iterable[FoundInstance]) -> list[FoundInstance]:
    """The newest instance of every slot in which none is up, if it has ended."""
    slots: dict[tuple[str, str, int], list[FoundInstance]] = defaultdict(list)
    for instance in sorted(seen, key=lambda found: found.created_at):
        slots[instance.stack, instance.service, instance.slot].append(instance)
    resting = (there for there in slots.values() if not any(one.state in _UP for one in there))
    return [there[-1] for there in resting if there[-1].state == "exited"]


def main() -> None:
    """Start what ran when this host went down. Exits 1 when Docker does not answer."""
    host = this_host()
    try:
        started = start_what_ran(host, host.docker.found(host.name, host.cluster, detail=True).instances)
        remember(host.places, host.docker.found(host.name, host.cluster, detail=True).instances, time.time())
    except StampedeError as error:
        sys.exit(f"stampede: {error}")
    print(f"stampede: {len(started)} instances run again", file=sys.stderr)


def _file(places: Places) -> Path:
    return places.host / "ran.json"


if __name__ == "__main__":
    main()
