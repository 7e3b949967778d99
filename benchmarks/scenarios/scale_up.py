"""One service goes from 10 to 60 replicas."""

from __future__ import annotations

import secrets

from benchmarks.lab import Lab
from benchmarks.measure import Contender, take_turns
from benchmarks.peers import compose, raw_api, stampede
from benchmarks.results import Result, of_turns
from benchmarks.scenarios.deploy import best_threads
from benchmarks.stacks import Sleepers

FROM, TO = 10, 60
INCLUDES = """\
Timed is the command that scales, until the new containers run: `stampede scale` (which also waits until each has run \
for 1 s), `docker-compose up -d --scale`, `docker service scale` until all tasks run, and as the limit creating and \
starting the {more} further containers through the raw API by {threads} threads."""


def run(lab: Lab, rounds: int) -> Result:
    lab.be_ready()
    name = f"bench-x-{secrets.token_hex(2)}"
    few = Sleepers.replicas(name, lab.size(FROM))
    many = few.scaled(lab.size(TO))
    limit = lab.raw_api
    limit.threads = best_threads(lab)

    def few_by_hand() -> None:
        limit.prepare(few)
        limit.deploy()
        limit.prepare(many, first=few.size + 1)

    contenders = [
        Contender(
            raw_api.NAME,
            before=few_by_hand,
            act=limit.create,
            after=lambda: limit.remove(many),
        ),
        Contender(
            stampede.NAME,
            before=lambda: lab.stampede.up(few),
            act=lambda: lab.stampede.scale(few, many.size),
            after=lambda: lab.stampede.down(name),
        ),
        Contender(
            compose.NAME,
            before=lambda: lab.compose.up(few),
            act=lambda: lab.compose.scale(few, many.size),
            after=lambda: lab.compose.down(many),
        ),
        Contender(
            "docker service scale",
            before=lambda: lab.swarm.create_service(name, few.size),
            act=lambda: lab.swarm.scale(name, many.size),
            after=lambda: lab.swarm.remove_service(name),
        ),
    ]
    includes = INCLUDES.format(more=many.size - few.size, threads=limit.threads)
    title = f"Scale from {few.size} to {many.size}"
    return of_turns(title, includes, take_turns(contenders, rounds), stampede.NAME, {})
