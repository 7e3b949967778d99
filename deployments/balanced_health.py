"""What the health check of an instance says reaches the balancer of its host: HAProxy itself only knows who listens."""

from __future__ import annotations

from collections.abc import Iterable

from stampede.planning.found import FoundInstance
from stampede.tasks.this_host import ThisHost


def tell_balancer(host: ThisHost, seen: Iterable[FoundInstance]) -> list[str]:
    """Afterwards instances whose check fails get no new traffic while another one is up. Returns whose state changed.

    One that is only starting keeps what it had. Raises: DaemonUnavailable while HAProxy is away.
    """
    changed = []
    for instance in seen:
        if instance.state != "running" or instance.health not in ("healthy", "unhealthy"):
            continue
        server = host.haproxy.desired(instance.stack).server(instance.service, instance.name)
        if server is None or not server.in_service or server.state == _state_of(instance):
            continue
        healthy = instance.health == "healthy"
        if host.haproxy.mark_health(instance.stack, instance.service, instance.name, healthy=healthy):
            changed.append(instance.name)
    return changed


def _state_of(instance: FoundInstance) -> str:
    return "serving" if instance.health == "healthy" else "unhealthy"
