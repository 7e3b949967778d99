"""Taking over a Compose project on its host, one side effect each, safe to repeat."""

from __future__ import annotations

from prefect import task
from prefect.logging import get_run_logger

from stampede.blocks import adopted_volumes as record
from stampede.planning.adoption import ComposeProject
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import NO_RECORD, RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


@task(task_run_name="look at the Compose project {stack}", **RETRY_TRANSIENT)
async def read_project(stack: str) -> ComposeProject:
    """Containers, networks and volumes that Compose made for a project of the stack's name."""
    return await in_thread(this_host().docker.projects.look, stack)


@task(task_run_name="adopt volumes", **NO_RECORD)
async def adopt_volumes(mandate: Mandate, names: tuple[str, ...]) -> None:
    """Afterwards the stack uses these volumes as they are, and removing the stack leaves them. Raises: Fenced."""
    mandate.check()
    await in_thread(record.adopt_volumes, this_host().places, mandate.stack, names)


@task(task_run_name="set {name} aside", **RETRY_TRANSIENT)
async def set_aside(mandate: Mandate, name: str, container: str) -> None:
    """Afterwards the original does not run, is not started by Docker, and has given up its name.

    Raises: Foreign if it is not of this Compose project, Fenced.
    """
    mandate.check()
    aside = await in_thread(this_host().docker.projects.set_aside, mandate.stack, container)
    get_run_logger().info("%s is kept as %s", name, aside or "nothing: it is gone")


@task(task_run_name="remove the Compose project's network {name}", **RETRY_TRANSIENT)
async def remove_project_network(mandate: Mandate, name: str) -> None:
    """Afterwards it is gone, so that one of ours can have its name; Compose makes it anew when it needs it.

    Raises: Foreign if it is not of this project, DaemonError while a running container of others is on it, Fenced.
    """
    mandate.check()
    await in_thread(this_host().docker.projects.remove_network, mandate.stack, name)
