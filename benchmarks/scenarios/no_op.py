"""`up` of 100 containers that run already, as they should."""

from __future__ import annotations

import secrets
import statistics

from benchmarks.lab import Lab
from benchmarks.measure import Contender, take_turns
from benchmarks.peers import compose, stampede, swarm
from benchmarks.results import Result, Target, of_turns
from benchmarks.stacks import Sleepers

CONTAINERS = 100
LIMIT_S = 1.0
INCLUDES = """\
The whole command each time, on one service with {number} replicas that run. *stampede* takes the stack's lock, has \
the host looked at, compares, and records the outcome as a flow run on its server. *docker-compose* asks the local \
daemon and keeps no record. *docker stack deploy* hands the file to the swarm and returns."""


def run(lab: Lab, rounds: int) -> Result:
    lab.be_ready()
    name = f"bench-n-{secrets.token_hex(2)}"
    ours, theirs = Sleepers.replicas(f"{name}-s", lab.size(CONTAINERS)), Sleepers.replicas(name, lab.size(CONTAINERS))
    try:
        lab.stampede.up(ours)
        lab.compose.up(theirs)
        lab.swarm.deploy(theirs)
        taken = take_turns(
            [
                Contender(stampede.NAME, act=lambda: lab.stampede.up(ours)),
                Contender(compose.NAME, act=lambda: lab.compose.up(theirs)),
                Contender(swarm.STACK, act=lambda: lab.swarm.deploy(theirs)),
            ],
            max(rounds, 9),
        )
    finally:
        lab.stampede.down(ours.name)
        lab.compose.down(theirs)
        lab.swarm.remove(theirs.name)
    title, includes = f"No-op deploy of {ours.size} containers", INCLUDES.format(number=ours.size)
    result = of_turns(title, includes, taken, stampede.NAME, {})
    target = Target("as the user of the command sees it", statistics.median(taken[stampede.NAME]), LIMIT_S, "s")
    return Result(result.title, result.includes, result.heads, result.rows, (target,), result.samples)
