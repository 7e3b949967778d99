"""`/metrics` of this host, for Prometheus. What each one means stands in docs/metrics.md.

STAMPEDE_METRICS is the address, as `127.0.0.1:9464` (the default), `:9464` for all addresses, or a port; 0 means none.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from prefect.logging import get_logger
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from stampede.balancer.runtime import Statistics
from stampede.deployments.host_report import latest_sight
from stampede.deployments.volume_metrics import backup_metrics, pool_metrics
from stampede.errors import BadInput, DaemonError, StampedeError
from stampede.planning.found import FoundHost
from stampede.tasks.last_backups import read_backups
from stampede.tasks.last_changes import LastChange, read_changes
from stampede.tasks.this_host import this_host

VARIABLE = "STAMPEDE_METRICS"
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 9464
_log = get_logger("stampede.metrics")


async def serve_metrics() -> None:
    """A job of the worker: afterwards a thread serves /metrics. When the port is taken, the log says so."""
    address = metrics_address(os.environ.get(VARIABLE, ""))
    if address is None:
        return
    host, port = address
    registry = CollectorRegistry()
    registry.register(HostCollector())
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        _log.warning("no metrics: %s port %d: %s; %s names another address", host, port, error.strerror, VARIABLE)
    else:
        _log.info("metrics are at http://%s:%d/metrics", host, port)


def metrics_address(text: str) -> tuple[str, int] | None:
    """Where to listen; None for nowhere. Raises: BadInput for what is no address."""
    host, _, port = text.rpartition(":")
    if not text:
        return DEFAULT_HOST, DEFAULT_PORT
    if not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"{VARIABLE}={text} is no address", f"such as {DEFAULT_HOST}:{DEFAULT_PORT}; 0 means no metrics")
    if not int(port):
        return None
    return (host.strip("[]") or "0.0.0.0") if ":" in text else DEFAULT_HOST, int(port)


class HostCollector(Collector):
    """Reads what the worker has seen anyway, so that being asked costs Docker nothing."""

    def describe(self) -> Iterator[Metric]:
        """Nothing: else registering would collect."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        sight = latest_sight()
        docker_up = sight is not None and sight.docker_answers
        yield GaugeMetricFamily("stampede_docker_up", "Whether dockerd answers.", value=float(docker_up))
        if sight is not None:
            seen = "When this host was last looked at."
            yield GaugeMetricFamily("stampede_host_seen_timestamp_seconds", seen, value=sight.at)
            yield from instance_metrics(sight.found)
        host = this_host()
        yield from change_metrics(read_changes(host.places))
        yield from backup_metrics(read_backups(host.places))
        yield from _pool()
        try:
            statistics: Statistics | None = host.haproxy.statistics()
        except DaemonError:
            statistics = None
        yield from balancer_metrics(statistics)


def _pool() -> Iterator[Metric]:
    """Nothing where there is no pool, or where it cannot be looked at: the worker's log says why."""
    try:
        pool = this_host().pool
        status = pool.status()
        volumes = pool.volumes() if status else ()
    except (StampedeError, OSError):
        return
    yield from pool_metrics(status, volumes)


def instance_metrics(found: FoundHost) -> Iterator[Metric]:
    """How many instances there are of each service by state and health, and how often Docker restarted each."""
    count = GaugeMetricFamily(
        "stampede_instances", "Instances on this host.", labels=["stack", "service", "state", "health"]
    )
    for key, number in sorted(Counter((i.stack, i.service, i.state, i.health) for i in found.instances).items()):
        count.add_metric(key, number)
    restarts = CounterMetricFamily(
        "stampede_instance_restarts", "Restarts by Docker's policy.", labels=["stack", "service", "instance"]
    )
    for instance in found.instances:
        restarts.add_metric((instance.stack, instance.service, instance.name), instance.restarts)
    yield from (count, restarts)


def change_metrics(changes: tuple[LastChange, ...]) -> Iterator[Metric]:
    """When, how long and with what success each verb last ran. Known on the control host only."""
    labels = ["stack", "verb"]
    ended = GaugeMetricFamily("stampede_change_timestamp_seconds", "When the latest change ended.", labels=labels)
    success = GaugeMetricFamily("stampede_change_success", "Whether the latest change succeeded.", labels=labels)
    duration = GaugeMetricFamily("stampede_change_duration_seconds", "How long the latest took.", labels=labels)
    for change in changes:
        key = (change.stack, change.verb)
        ended.add_metric(key, change.ended)
        success.add_metric(key, float(change.succeeded))
        duration.add_metric(key, change.duration_s)
    yield from (ended, success, duration)


def balancer_metrics(statistics: Statistics | None) -> Iterator[Metric]:
    """Counters of HAProxy by published port."""
    up = statistics is not None
    yield GaugeMetricFamily("stampede_balancer_up", "Whether HAProxy answers.", value=float(up))
    if statistics is None:
        return
    labels = ["stack", "service", "bind"]
    current = GaugeMetricFamily("stampede_balancer_open_sessions", "Sessions now.", labels=labels)
    counters = {
        "sessions_total": CounterMetricFamily("stampede_balancer_sessions", "Sessions so far.", labels=labels),
        "bytes_in": CounterMetricFamily("stampede_balancer_received_bytes", "Bytes from clients.", labels=labels),
        "bytes_out": CounterMetricFamily("stampede_balancer_sent_bytes", "Bytes to clients.", labels=labels),
        "responses_5xx": CounterMetricFamily("stampede_balancer_responses_5xx", "Answers 5xx.", labels=labels),
        "connection_errors": CounterMetricFamily(
            "stampede_balancer_connection_errors", "Connections that instances did not take.", labels=labels
        ),
    }
    for listener in statistics.listeners:
        key = (listener.stack, listener.service, listener.bind)
        current.add_metric(key, listener.sessions)
        for field, family in counters.items():
            family.add_metric(key, getattr(listener, field))
    yield current
    yield from counters.values()
