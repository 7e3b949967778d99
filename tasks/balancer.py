"""What a flow does with the balancer of its host: publish ports, put instances into service and take them out."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import task
from prefect.logging import get_run_logger

from stampede.balancer.listeners import Listener, listener_for
from stampede.balancer.ports import WantedPort, choose_ports
from stampede.blocks.haproxy import Balancer
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.threads import in_thread, until_cancelled

UP_WITHIN_S = 30.0
DRAIN_LIMIT_S = 30.0


@task(task_run_name="start the balancer", **RETRY_TRANSIENT)
async def ensure_balancer(haproxy: Balancer) -> None:
    """Afterwards HAProxy runs, and serves what the files of this host say. Raises: DaemonUnavailable (Transient)."""
    started = await in_thread(haproxy.ensure_running)
    get_run_logger().info("the balancer: %s", "started" if started else "already so")


@task(task_run_name="publish {stack}", **RETRY_TRANSIENT)
async def ensure_listeners(
    haproxy: Balancer, stack: str, wanted: tuple[WantedPort, ...], kept: Mapping[str, int]
) -> tuple[Listener, ...]:
    """Afterwards this host listens on exactly these ports for `stack`; returns them with the ports that were chosen.

    `kept` are earlier choices by key, which win while they fit. HAProxy is started if need be, and not
    reloaded where nothing changed.
    Raises: Foreign or PortTaken for a port that somebody else has, DaemonError when HAProxy refuses.
    """
    if wanted:
        await in_thread(haproxy.ensure_running)
    taken = {found.port for found in await in_thread(haproxy.taken, stack) if found.protocol == "tcp"}
    chosen = choose_ports(wanted, taken, kept)
    listeners = tuple(listener_for(port, chosen) for port in wanted)
    changed = await in_thread(haproxy.configure, stack, listeners)
    binds = ", ".join(listener.bind for listener in listeners) or "nothing"
    get_run_logger().info("%s publishes %s: %s", stack, binds, "reloaded" if changed else "already so")
    return listeners


@task(task_run_name="put {name} into service", **RETRY_TRANSIENT)
async def put_in_service(
    haproxy: Balancer, stack: str, service: str, name: str, address: str, limit_s: float = UP_WITHIN_S
) -> bool:
    """Afterwards every listener of the service gives traffic to this instance, which accepts connections.

    Raises: DaemonError when it does not accept any within `limit_s`; it then stays known, without traffic.
    """
    added = await in_thread(haproxy.add_server, stack, service, name, address)
    proven = await until_cancelled(lambda cancelled: haproxy.wait_server_up(stack, service, name, limit_s, cancelled))
    changed = proven or added
    get_run_logger().info("%s at %s: %s", name, address, "in service" if changed else "already so")
    return changed


@task(task_run_name="take {name} out of service", **RETRY_TRANSIENT)
async def take_out_of_service(
    haproxy: Balancer, stack: str, service: str, name: str, limit_s: float = DRAIN_LIMIT_S
) -> int:
    """Afterwards no listener knows this instance. Returns how many connections were cut after `limit_s` (0: none)."""
    cut = await until_cancelled(lambda cancelled: haproxy.drain_server(stack, service, name, limit_s, cancelled))
    removed = await in_thread(haproxy.remove_server, stack, service, name)
    outcome = f"out of service, {cut} connections cut" if removed else "already so"
    get_run_logger().info("%s: %s", name, outcome)
    return cut
