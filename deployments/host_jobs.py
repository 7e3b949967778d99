"""What a worker does beside running flows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from stampede.deployments.host_report import report_host
from stampede.deployments.housekeeping import keep_house
from stampede.deployments.metrics import serve_metrics
from stampede.deployments.pool_watch import watch_pool

JOBS: tuple[Callable[[], Awaitable[None]], ...] = (report_host, serve_metrics, keep_house, watch_pool)
