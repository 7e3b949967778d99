"""On a host: what a Compose project has there, and how it makes way for a stack of the same name."""

from __future__ import annotations

import asyncio

from prefect import flow

from stampede.planning.adoption import ComposeProject, Takeover
from stampede.tasks.adoption import adopt_volumes, read_project, remove_project_network, set_aside
from stampede.tasks.mandate import Mandate


@flow(name="survey-project", persist_result=True)
async def survey_project(stack: str) -> ComposeProject:
    """What Compose made on this host for a project of the stack's name."""
    return await read_project(stack)


@flow(name="take-over", persist_result=True)
async def take_over(stack: str, mandate: Mandate, takeover: Takeover) -> None:
    """Afterwards the project's containers are kept but stopped, its networks are gone, and its volumes are the stack's.

    Volumes come first: dying in between leaves nothing that a later `up` could shadow with an empty one.
    """
    await adopt_volumes(mandate, takeover.volumes)
    await asyncio.gather(*(set_aside(mandate, name, container) for name, container in takeover.containers.items()))
    for network in takeover.networks:
        await remove_project_network(mandate, network)
