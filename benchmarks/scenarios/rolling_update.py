"""Four replicas of a web tier are replaced one by one, while requests come in over kept-alive connections."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.installation import free_port
from benchmarks.lab import Lab
from benchmarks.load import CONNECTIONS, under_load
from benchmarks.measure import ratio, say
from benchmarks.peers import stampede, swarm
from benchmarks.results import Result, Target
from benchmarks.shop import IMAGES, REPLICAS, for_stampede, for_swarm
from benchmarks.swarm_balancer import balancer

INCLUDES = """\
The web tier and the Redis of `examples/shop`; the image goes from `web:1` to `web:2` and back, start-first, one \
replica at a time, `monitor: 1s`, health checks every 3 s (Docker runs \
the first one after that time, Stampede at once). Timed is the command until all old containers are gone; \
wrk keeps {connections} connections busy from a second before until a second after it, and the machine with it. \
*stampede* balances by itself. A swarm cannot balance here at all (its routing mesh needs IPVS, which this kernel \
lacks), so it gets what is usual beside it: an HAProxy in its network that finds the tasks by DNS, with the same \
retries. Failed are answers other than 2xx and 3xx, and socket errors."""


@dataclass
class Updates:
    """What was seen of one contender: seconds, requests that were answered, and those that failed."""

    seconds: list[float] = field(default_factory=list)
    requests: int = 0
    failed: int = 0

    def time(self, update: Callable[[], None], url: str, inside: Sequence[str] = ()) -> None:
        """Carry out one update under load."""
        with under_load(url, inside) as load:
            began = time.perf_counter()
            update()
            self.seconds.append(time.perf_counter() - began)
        self.requests += load.requests
        self.failed += load.failed
        say(f"    {self.seconds[-1]:.2f} s, {load.requests} requests, {load.failed} failed")


def run(lab: Lab, rounds: int) -> Result:
    lab.be_ready()
    name, port = f"bench-u-{secrets.token_hex(2)}", free_port()
    folder, swarms = lab.folder / "shop", lab.folder / "shop-swarm"
    ours, theirs = Updates(), Updates()
    for image in IMAGES:
        lab.swarm.take_image(image)
    try:
        lab.stampede.up_file(name, for_stampede(folder, 1, port))
        lab.swarm.deploy_file(name, for_swarm(swarms, 1), REPLICAS + 1)
        with balancer(lab.throwaway, name, lab.folder) as (url, inside):
            for turn in range(rounds):
                version = 1 if turn % 2 else 2
                stack, swarm_stack = for_stampede(folder, version, port), for_swarm(swarms, version)
                ours.time(partial(lab.stampede.up_file, name, stack), f"http://127.0.0.1:{port}/")
                theirs.time(partial(lab.swarm.update_file, name, swarm_stack, "web"), url, inside)
    finally:
        lab.stampede.down(name)
        lab.swarm.remove(name)
    return _result(ours, theirs)


def _result(ours: Updates, theirs: Updates) -> Result:
    rows = []
    for name, seen in ((stampede.NAME, ours), (swarm.STACK, theirs)):
        seconds = f"{statistics.median(seen.seconds):.1f} s"
        beside = "1" if seen is ours else f"{ratio(ours.seconds, theirs.seconds):.2f}"
        rows.append((name, seconds, str(seen.requests), str(seen.failed), beside))
    return Result(
        f"Rolling update of {REPLICAS} replicas under load",
        INCLUDES.format(connections=CONNECTIONS),
        ("", f"median of {len(ours.seconds)}", "requests", "failed", f"{stampede.NAME} takes … times as long"),
        tuple(rows),
        (Target("failed requests of stampede", float(ours.failed), 0.0, "requests"),),
        {stampede.NAME: ours.seconds, swarm.STACK: theirs.seconds},
    )
