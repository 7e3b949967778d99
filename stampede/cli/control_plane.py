"""The state of this machine's control plane, printed."""

from __future__ import annotations

import json

from stampede import control_plane
from stampede.cli.tables import print_table
from stampede.places import Places


def show_status(places: Places, *, as_json: bool) -> bool:
    """Print where the server answers and which processes run; whether it is healthy."""
    status = control_plane.status(places)
    processes = [{"name": name, "pid": pid} for name, pid in status.processes]
    if as_json:
        print(json.dumps({"url": status.url, "healthy": status.healthy, "processes": processes}, indent=2))
    else:
        print(f"{status.url or 'no server'}: {'healthy' if status.healthy else 'not healthy'}")
        print_table(("PROCESS", "PID"), [(name, str(pid)) for name, pid in status.processes])
    return bool(status.healthy)
