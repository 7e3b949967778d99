"""Programs that are run to their end, and what running processes cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from stampede import programs

TIMEOUT_S = 600.0
KIB_PER_MIB = 1024


def run(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str:
    """What a program prints on stdout. Raises: ProgramFailed, with what it said on stderr."""
    return programs.run(argv, env=env, timeout_s=TIMEOUT_S).out


def cpu_s(pid: int) -> float:
    """Seconds of processor that a process and its threads have used so far. Source: proc(5), stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> tuple[float, float]:
    """RSS, and PSS, in which shared pages count for each process in part only. Source: proc(5), smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return kib["Rss"] / KIB_PER_MIB, kib["Pss"] / KIB_PER_MIB
