"""On a host: a stack becomes a Compose project there, or comes back when that does not run."""

from __future__ import annotations

import asyncio

from prefect import flow

from stampede.ejection.models import SET_ASIDE as ASIDE
from stampede.ejection.models import Ejection, EjectionSite
from stampede.planning.changes import Old, Stage
from stampede.planning.instances import Image
from stampede.planning.listening import Listening
from stampede.planning.slots import as_old
from stampede.tasks import ejection as project
from stampede.tasks.containers import remove_container, stop_container
from stampede.tasks.listening import ensure_listening, take_out_of_service
from stampede.tasks.mandate import Mandate
from stampede.tasks.networks import remove_network
from stampede.tasks.reading import read_found
from stampede.tasks.stack_state import read_revision


@flow(name="survey-ejection", persist_result=True)
async def survey_ejection(stack: str, directory: str, images: dict[str, Image]) -> EjectionSite:
    """What has to be known of this host before a stack is ejected on it."""
    return await project.read_site(stack, directory, images)


@flow(name="move-out", persist_result=True)
async def move_out(
    stack: str, mandate: Mandate, ejection: Ejection, listening: Listening, stages: tuple[Stage, ...]
) -> None:
    """Afterwards the Compose project runs in the stack's place, and the stack's containers are gone.

    `listening` closes its ports, and `stages` say in which order its instances stop. Theirs are kept until the project
    is healthy. The data of managed volumes is copied before and once more after they have stopped.
    Raises: DaemonError with what Compose said, Unhealthy, Fenced.
    """
    wanted = await read_revision(stack, ejection.revision)
    services = wanted.definition.services
    await project.write_project(mandate, wanted, ejection)
    for volume, copy in ejection.copies.items():
        await project.copy_out(mandate, volume, copy)
    await ensure_listening(mandate, None, listening)
    for stage in stages:
        rolls = [roll for lane in stage.lanes for wave in lane.waves for roll in wave.rolls]
        await asyncio.gather(*(_stop(mandate, roll.service, old) for roll in rolls for old in roll.old))
    for volume, copy in ejection.copies.items():
        await project.copy_out(mandate, volume, copy, ejection.decided)
    found = await read_found(stack)
    named = [i for i in found.instances if i.service in services and services[i.service].container_name]
    await asyncio.gather(*(project.free_name(mandate, i) for i in named if not i.name.endswith(ASIDE)))
    await asyncio.gather(*(remove_network(mandate, network.name) for network in found.networks))
    await project.bring_up(mandate, ejection)
    replicas = {name: 1 if name in ejection.single else service.replicas for name, service in services.items()}
    await project.wait_until_up(ejection, replicas)
    leaving = [as_old(instance) for instance in found.instances]
    await asyncio.gather(*(remove_container(mandate, old, with_anonymous_volumes=False) for old in leaving))


@flow(name="move-back", persist_result=True)
async def move_back(stack: str, mandate: Mandate, ejection: Ejection) -> None:
    """Afterwards nothing of the Compose project is left but volumes, so that the stack can start again."""
    await project.take_down(mandate, ejection)


@flow(name="forget-ejection", persist_result=True)
async def forget_ejection(stack: str) -> None:
    """Afterwards the host remembers no ejection of the stack: it is over."""
    await project.forget_begun(stack)


async def _stop(mandate: Mandate, service: str, old: Old) -> None:
    await take_out_of_service(mandate, service, old.name)
    await stop_container(mandate, old)
