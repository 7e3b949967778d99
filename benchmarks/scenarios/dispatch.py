"""From inside a flow to a host and back, with a flow there that does nothing."""

from __future__ import annotations

import statistics

from benchmarks.lab import Lab
from benchmarks.measure import percentile, say
from benchmarks.results import Result, Target, figure
from stampede.client.runs import read_run

SINGLE, TOGETHER = 60, 50
SINGLE_LIMIT_MS, TOGETHER_LIMIT_S = 300.0, 12.0
INCLUDES = """\
`on_host` as flows use it: link task run, flow run, claim, states and result through the API, on one worker that also \
runs the calling flow. {single} dispatches one after the other in each round, then {together} started together; \
LAB figures of the same machine when quiet were 203–252 ms and 8–13 s."""


def run(lab: Lab, rounds: int) -> Result:
    single: list[float] = []
    together: list[float] = []
    asked = {"one_by_one": lab.size(SINGLE), "at_once": lab.size(TOGETHER)}
    with lab.installation.client as client:
        deployment = client.api.get("/deployments/name/time-dispatches/any")
        for turn in range(rounds):
            made = client.api.post(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": asked})
            seconds = client.result(read_run(client.api, made["id"]), timeout_s=600)
            single += seconds["single"]
            together += seconds["together"]
            say(f"    round {turn + 1}: {statistics.median(seconds['single']) * 1e3:.0f} ms, {together[-1]:.2f} s")
    middle, worst = statistics.median(single) * 1e3, percentile(single, 99) * 1e3
    return Result(
        "Dispatch to a host and back",
        INCLUDES.format(single=asked["one_by_one"], together=asked["at_once"]),
        ("", "p50", "p99", "most"),
        (
            ("one after the other", f"{figure(middle)} ms", f"{figure(worst)} ms", f"{figure(max(single) * 1e3)} ms"),
            (f"{asked['at_once']} at once", f"{statistics.median(together):.2f} s", "", f"{max(together):.2f} s"),
        ),
        (
            Target("one dispatch, p50", middle, SINGLE_LIMIT_MS, "ms"),
            Target(f"{asked['at_once']} at once", statistics.median(together), TOGETHER_LIMIT_S, "s"),
        ),
        {"single": single, "together": together},
    )
