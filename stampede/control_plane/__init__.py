"""The embedded control plane: Prefect's server and this host's worker as background services. Imports no Prefect.

start, stop, status and connect work the same with systemd (units are installed) and without it (a small supervisor).
`services.add` and `services.remove` let other programs, such as haproxy, be kept running in the same way.
"""

from __future__ import annotations

from stampede.control_plane.embedded import Status, connect, start, status, stop
from stampede.control_plane.services import Service

__all__ = ["Service", "Status", "connect", "start", "status", "stop"]
