"""Containers of instances: one side effect each, safe to repeat."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import nullcontext

from prefect import get_run_logger, task

from stampede.containers.ports import choose_host_ports, left_to_choose
from stampede.errors import DaemonError
from stampede.planning.changes import Old
from stampede.planning.found import FoundInstance
from stampede.planning.identity import labels_of
from stampede.planning.instances import Instance
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_starting_thread, in_thread, until_cancelled

_choosing_ports = threading.Lock()


@task(task_run_name="ensure container {instance.name}", **RETRY_TRANSIENT)
async def ensure_container(
    mandate: Mandate,
    instance: Instance,
    *,
    reason: str,
    addresses: Mapping[str, str],
    anonymous_volumes: Mapping[str, str],
    ports: Mapping[str, int],
    companions: Mapping[str, str],
) -> str:
    """Afterwards exactly this instance's container is there and runs; its id is returned.

    Other containers of the same slot are left alone: they go once this one serves. `companions` names the containers
    whose namespaces it shares; `ports` are host ports that were chosen for its slot before. Raises: Foreign if the name
    belongs to someone else, ImageMissing, PortTaken, Fenced.
    """
    host = this_host()

    def create_and_start() -> str:
        mandate.check()
        container = host.docker.containers.create(
            instance,
            addresses=addresses,
            files_dir=host.places.files,
            labels=labels_of(instance, cluster=host.cluster, reason=reason, run=mandate.run),
            host_ports=choose_ports_of(instance, ports),
            anonymous_volumes=anonymous_volumes,
            container_of_service=companions,
        )
        mandate.check()
        host.docker.containers.start(container)
        return container

    def one_at_a_time() -> str:  # who starts next must see which ports are taken by then
        with _choosing_ports if left_to_choose(instance.spec) else nullcontext():
            return create_and_start()

    container = await in_starting_thread(one_at_a_time)
    get_run_logger().info("%s runs (%s)", instance.name, reason)
    return container


def choose_ports_of(instance: Instance, kept: Mapping[str, int]) -> dict[str, int]:
    """Host ports for what the file leaves to choose: those it was made with, else those its slot had, else free ones.

    Those of other instances are not free, running or not. Raises: PortTaken when a range has no free port left.
    """
    if not left_to_choose(instance.spec):
        return {}
    host = this_host()
    if there := host.docker.containers.look(instance.name):
        return there.ports
    found = host.docker.found(host.name, host.cluster)
    me = (instance.stack, instance.service, instance.slot)
    promised = [each.ports for each in found.instances if (each.stack, each.service, each.slot) != me]
    taken = {(port.protocol, port.port) for port in (*found.taken, *host.haproxy.taken(""))}
    taken |= {("udp" if "/udp" in key else "tcp", number) for ports in promised for key, number in ports.items()}
    return choose_host_ports(instance.stack, instance.service, instance.spec, taken, kept)


async def find_container(container: str) -> FoundInstance | None:
    """What this host has under this id or name, if it is an instance."""
    return await in_thread(this_host().docker.containers.look, container)


@task(task_run_name="start container {old.name}", **RETRY_TRANSIENT)
async def start_container(mandate: Mandate, old: Old) -> str:
    """Afterwards it runs. Raises: PortTaken, DaemonError if it is gone or cannot start, Fenced."""
    mandate.check()
    await in_starting_thread(this_host().docker.containers.start, old.id)
    return old.id


@task(task_run_name="stop container {old.name}", **RETRY_TRANSIENT)
async def stop_container(mandate: Mandate, old: Old) -> None:
    """Afterwards it does not run; it was given its stop_grace_period. A no-op when it is gone. Raises: Fenced."""
    mandate.check()
    await in_thread(this_host().docker.containers.stop, old.id)


@task(task_run_name="remove container {old.name}", **RETRY_TRANSIENT)
async def remove_container(mandate: Mandate, old: Old, *, with_anonymous_volumes: bool) -> None:
    """Afterwards it is gone. Its anonymous volumes go only with the slot: a replacement has taken them over."""
    mandate.check()
    await in_thread(this_host().docker.containers.remove, old.id, anonymous_volumes=with_anonymous_volumes)


@task(task_run_name="wait until {instance.name} has completed", **RETRY_TRANSIENT)
async def wait_until_completed(instance: Instance, container: str, timeout_s: float = 3600.0) -> None:
    """Returns when the container has ended with exit code 0. Raises: DaemonError for another one, or after the time."""
    containers = this_host().docker.containers
    code = await until_cancelled(lambda cancelled: containers.wait_exit(container, timeout_s, cancelled))
    if code:
        raise DaemonError(
            f"{instance.label} ended with exit code {code}", f"stampede logs {instance.service} shows why"
        )
