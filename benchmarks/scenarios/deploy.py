"""50 containers, as one service with 50 replicas and as 50 services."""

from __future__ import annotations

import secrets
import statistics

from benchmarks.lab import Lab
from benchmarks.measure import Contender, say, take_turns
from benchmarks.peers import compose, raw_api, stampede, swarm
from benchmarks.results import Result, of_turns
from benchmarks.stacks import Sleepers

CONTAINERS = 50
THREADS = (1, 2, 4, 8)
TRIAL_CONTAINERS, TRIALS = 16, 2
LIMITS = {raw_api.NAME: 1.15, compose.NAME: 1.0}
INCLUDES = """\
Every contender makes one network and the same containers (`busybox sleep` under `init`) from nothing. *{raw}*: \
create and start with the bodies that Stampede uses, by {threads} threads, the fastest of 1, 2, 4 and 8 in trials \
before. *stampede* is the whole command `stampede up`: start of Python, resolving the file, storing a revision, flow \
runs, and waiting until each container has run for 1 s without a crash (`update_config.monitor`). *docker-compose* \
is `up -d`, which does not look at containers it has started. *docker service create* and *docker stack deploy* run \
in a swarm of one node on another dockerd of the same version, which has nothing else to do; the time ends when all \
tasks run, without the 5 s for which the command watches them after that."""


def of_one_service(lab: Lab, rounds: int) -> Result:
    stack = Sleepers.replicas(f"bench-r-{secrets.token_hex(2)}", lab.size(CONTAINERS))
    by_hand = Contender(
        swarm.SERVICE,
        act=lambda: lab.swarm.create_service(stack.name, stack.size),
        after=lambda: lab.swarm.remove_service(stack.name),
    )
    return _deploy(lab, rounds, stack, f"Deploy of {stack.size} containers: one service", (by_hand,))


def of_many_services(lab: Lab, rounds: int) -> Result:
    stack = Sleepers.of_one_each(f"bench-s-{secrets.token_hex(2)}", lab.size(CONTAINERS))
    return _deploy(lab, rounds, stack, f"Deploy of {stack.size} containers: {stack.size} services", ())


def _deploy(lab: Lab, rounds: int, stack: Sleepers, title: str, others: tuple[Contender, ...]) -> Result:
    lab.be_ready()
    limit = lab.raw_api
    limit.threads = best_threads(lab)
    contenders = [
        Contender(
            raw_api.NAME,
            before=lambda: limit.prepare(stack),
            act=limit.deploy,
            after=lambda: limit.remove(stack),
        ),
        Contender(stampede.NAME, act=lambda: lab.stampede.up(stack), after=lambda: lab.stampede.down(stack.name)),
        Contender(compose.NAME, act=lambda: lab.compose.up(stack), after=lambda: lab.compose.down(stack)),
        *others,
        Contender(swarm.STACK, act=lambda: lab.swarm.deploy(stack), after=lambda: lab.swarm.remove(stack.name)),
    ]
    limits = LIMITS | {other.name: 1.0 for other in others} | {swarm.STACK: 1.0}
    includes = INCLUDES.format(raw=raw_api.NAME, threads=limit.threads)
    return of_turns(title, includes, take_turns(contenders, rounds), stampede.NAME, limits)


def best_threads(lab: Lab) -> int:
    """With how many threads the raw API is fastest here, by the median of trials with fewer containers. Tried once."""
    limit = lab.raw_api
    if limit.best_threads is not None:
        return limit.best_threads
    say("  looking for the best parallelism of the raw API")
    stack = Sleepers.replicas(f"bench-t-{secrets.token_hex(2)}", lab.size(TRIAL_CONTAINERS))
    medians: dict[int, float] = {}
    for threads in THREADS:
        limit.threads = threads
        trial = Contender(
            f"{raw_api.NAME}, {threads} threads",
            before=lambda: limit.prepare(stack),
            act=limit.deploy,
            after=lambda: limit.remove(stack),
        )
        medians[threads] = statistics.median(take_turns([trial], TRIALS)[trial.name])
    limit.best_threads = min(medians, key=lambda threads: medians[threads])
    return limit.best_threads
