"""HAProxy as a service of this host: it carries traffic, so it goes on when the control plane is stopped."""

from __future__ import annotations

from stampede.blocks.haproxy import HAProxy, service_argv
from stampede.control_plane import Service, services, systemd
from stampede.places import Places
from stampede.programs import run
from stampede.tasks.threads import in_thread

SERVICE = "haproxy"
RUNS_WITHIN_S = 30.0


async def start_balancer() -> None:
    """A job of the worker that ends when HAProxy runs; whoever publishes a port meanwhile tries again."""
    await in_thread(ensure_balancer, Places.of_environment())


def ensure_balancer(places: Places) -> None:
    """Afterwards HAProxy runs with the listeners of this host's stacks, and comes back when it is killed.

    Raises: DaemonUnavailable when it does not answer within 30 s.
    """
    haproxy = HAProxy(places)
    haproxy.ensure_config()
    if systemd.is_running():
        run(["systemctl", "enable", "--quiet", "--now", *systemd.TRAFFIC])
    else:
        services.add(places, Service(SERVICE, tuple(service_argv(places)), traffic=True))
    haproxy.wait_running(RUNS_WITHIN_S)
