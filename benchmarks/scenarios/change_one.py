"""One service of twenty gets another environment; its container has to be replaced, the others must stay."""

from __future__ import annotations

import secrets
from dataclasses import replace
from itertools import count

from benchmarks.lab import Lab
from benchmarks.measure import Contender, take_turns
from benchmarks.peers import compose, stampede, swarm
from benchmarks.results import Result, of_turns
from benchmarks.stacks import Sleepers

SERVICES = 20
INCLUDES = """\
The whole command, until the new container runs and the old one is gone. *stampede* starts the new one first, waits \
until it has run for 1 s, and then stops the old one; *docker-compose* stops the old one first. For \
*docker stack deploy* (also start-first) the time ends when only the new task runs and the old container has stopped."""


def run(lab: Lab, rounds: int) -> Result:
    lab.be_ready()
    base = Sleepers.of_one_each(f"bench-c-{secrets.token_hex(2)}", lab.size(SERVICES))
    theirs = replace(base, name=f"{base.name}-c")
    service, versions = sorted(base.services)[-1], count(1)

    def changed(stack: Sleepers) -> Sleepers:
        return replace(stack, changed={service: f"version {next(versions)}"})

    try:
        lab.stampede.up(base)
        lab.compose.up(theirs)
        lab.swarm.deploy(theirs)
        taken = take_turns(
            [
                Contender(stampede.NAME, act=lambda: lab.stampede.up(changed(base))),
                Contender(compose.NAME, act=lambda: lab.compose.up(changed(theirs))),
                Contender(swarm.STACK, act=lambda: lab.swarm.change(changed(theirs))),
            ],
            rounds,
        )
    finally:
        lab.stampede.down(base.name)
        lab.compose.down(theirs)
        lab.swarm.remove(theirs.name)
    return of_turns(f"Change of one service among {base.size}", INCLUDES, taken, stampede.NAME, {})
