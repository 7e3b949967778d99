"""Containers of instances: one side effect each, safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import get_run_logger, task

from stampede.errors import DaemonError
from stampede.planning.changes import Old
from stampede.planning.found import FoundInstance
from stampede.planning.identity import labels_of
from stampede.planning.instances import Instance
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_starting_thread, in_thread, until_cancelled


@task(task_run_name="ensure container {instance.name}", **RETRY_TRANSIENT)
async def ensure_container(
    mandate: Mandate,
    instance: Instance,
    *,
    reason: str,
    addresses: Mapping[str, str],
    anonymous_volumes: Mapping[str, str],
    companions: Mapping[str, str],
) -> str:
    """Afterwards exactly this instance's container is there and runs; its id is returned.

    Other containers of the same slot are left alone: they go once this one serves. `companions` names the containers
    whose namespaces it shares. Raises: Foreign if the name belongs to someone else, ImageMissing, PortTaken, Fenced.
    """
    host = this_host()

    def create_and_start() -> str:
        mandate.check()
        container = host.docker.containers.create(
            instance,
            addresses=addresses,
            files_dir=host.places.files,
            labels=labels_of(instance, cluster=host.cluster, reason=reason, run=mandate.run),
            anonymous_volumes=anonymous_volumes,
            container_of_service=companions,
        )
        mandate.check()
        host.docker.containers.start(container)
        return container

    container = await in_starting_thread(create_and_start)
    get_run_logger().info("%s runs (%s)", instance.name, reason)
    return container


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
