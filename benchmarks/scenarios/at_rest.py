"""What server and worker cost while nothing happens."""

from __future__ import annotations

import time

from benchmarks.lab import Lab
from benchmarks.measure import say
from benchmarks.processes import cpu_s, memory_mib
from benchmarks.results import Result, Target

WATCHED_S = 60.0
SETTLE_S = 15.0
MEMORY_LIMIT_MIB = 350.0
CPU_LIMIT_PERCENT = 5.0
INCLUDES = """\
Prefect's server on SQLite and the worker of this host, which run {flows} flow runs before in this run of the \
benchmarks (memory grows with the first of them). PSS counts pages that several processes share in part only. The \
supervisor (15 MiB, only where there is no systemd) and HAProxy are not counted."""


def run(lab: Lab, rounds: int) -> Result:
    del rounds
    with lab.installation.client as client:
        flows = client.api.post("/flow_runs/count", {})
    say(f"  watching for {WATCHED_S:.0f} s")
    time.sleep(SETTLE_S)
    processes = lab.installation.processes
    before = {name: cpu_s(pid) for name, pid in processes.items()}
    time.sleep(WATCHED_S)
    cpu = {name: (cpu_s(pid) - before[name]) / WATCHED_S * 100 for name, pid in processes.items()}
    memory = {name: memory_mib(pid) for name, pid in processes.items()}
    rows = [(name, f"{memory[name][0]:.0f} MiB", f"{memory[name][1]:.0f} MiB", f"{cpu[name]:.1f} %") for name in cpu]
    rss, pss = (sum(kind) for kind in zip(*memory.values(), strict=True))
    rows.append(("both", f"{rss:.0f} MiB", f"{pss:.0f} MiB", f"{sum(cpu.values()):.1f} %"))
    return Result(
        "At rest",
        INCLUDES.format(flows=flows),
        ("", "RSS", "PSS", f"of one core, over {WATCHED_S:.0f} s"),
        tuple(rows),
        (
            Target("memory (RSS)", rss, MEMORY_LIMIT_MIB, "MiB"),
            Target("processor", sum(cpu.values()), CPU_LIMIT_PERCENT, "% of a core"),
        ),
        {name: [cpu[name], *memory[name]] for name in cpu},
    )
