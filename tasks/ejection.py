"""Leaving Stampede, on the host: one side effect each, safe to repeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from prefect import task
from prefect.logging import get_run_logger

from stampede.blocks import ejected_files
from stampede.blocks.docker.project_health import wait_until_project_is_healthy
from stampede.blocks.tree_copy import copy_tree, every_so_often
from stampede.documents import Revision
from stampede.ejection.compose_file import compose_text
from stampede.ejection.compose_file import ejected_files as files_of
from stampede.ejection.models import SET_ASIDE, Ejection, EjectionSite
from stampede.errors import DaemonError, ImageMissing
from stampede.planning.found import FoundInstance
from stampede.planning.instances import Image
from stampede.stackfile.models import Volume
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import NO_RECORD, RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread, until_cancelled

SETTLE_S = 3.0  # a container without a health check has to run for so long


@task(task_run_name="look where {stack} would go", **RETRY_TRANSIENT)
async def read_site(stack: str, directory: str, images: Mapping[str, Image]) -> EjectionSite:
    """Whether the directory is free, the names of the images here, and what Compose or an earlier ejection left."""
    host = this_host()
    names = await asyncio.gather(*(in_thread(_name_of, stack, name, image) for name, image in images.items()))
    return EjectionSite(
        images=dict(zip(images, names, strict=True)),
        project=await in_thread(host.docker.projects.look, stack),
        traits=await in_thread(lambda: host.docker.traits),
        begun=ejected_files.read_begun(host.places, stack),
        in_the_way=ejected_files.why_not(Path(directory), stack),
        now=time.time(),
    )


def _name_of(stack: str, service: str, image: Image) -> str:
    """What the image is called here: as in the file where that is this very image, else by digest, else our own tag."""
    images = this_host().docker.images
    for reference in filter(None, (image.reference, image.pin)):
        with suppress(ImageMissing):
            if images.resolve(reference, pull_policy="never").identity == image.identity:
                return reference
    return images.keep(image, stack, service)


@task(task_run_name="write {ejection.compose_file}", **NO_RECORD)
async def write_project(mandate: Mandate, wanted: Revision, ejection: Ejection) -> None:
    """Afterwards the Compose file is there with its configs and secrets, and the host remembers what was decided.

    Raises: Fenced.
    """
    mandate.check()
    places = this_host().places
    await in_thread(ejected_files.note_begun, places, ejection)
    text, files = compose_text(wanted, ejection), files_of(wanted)
    await in_thread(ejected_files.write_project, Path(ejection.directory), ejection.stack, text, files)


@task(task_run_name="copy {volume} to {copy}", **RETRY_TRANSIENT)
async def copy_out(mandate: Mandate, volume: str, copy: str, changed_since: float | None = None) -> None:
    """Afterwards `copy`, a volume of Docker's own, holds what the managed volume does, as far as it stands still.

    Once the project has a container, the copy is the one that counts, and is left alone.
    Raises: DaemonError when the disk is full, Fenced.
    """
    mandate.check()
    host = this_host()
    if (await in_thread(host.docker.projects.look, mandate.stack)).containers:
        return
    wanted = Volume(name=copy)
    await in_thread(host.docker.volumes.ensure_volume, wanted, cluster=host.cluster, stack=mandate.stack)
    source, target = await in_thread(host.pool.mount, volume), await in_thread(host.docker.volumes.data_of, copy)
    if target is None:
        raise DaemonError(f"volume {copy} is not one of Docker's own", f"docker volume rm {copy}")
    log = get_run_logger()
    copied = await until_cancelled(
        lambda cancelled: copy_tree(
            source,
            target,
            changed_since=changed_since,
            cancelled=cancelled,
            progress=every_so_often(lambda done: log.info("%s: %d MiB", volume, done >> 20)),
        )
    )
    log.info("%s: %d files, %d MiB, of which %d copied", volume, copied.files, copied.bytes >> 20, copied.copied_bytes)


@task(task_run_name="free the name {found.name}", **RETRY_TRANSIENT)
async def free_name(mandate: Mandate, found: FoundInstance) -> None:
    """Afterwards the stopped instance has given up the name that its successor needs. Raises: Fenced."""
    mandate.check()
    await in_thread(this_host().docker.containers.rename, found.id, f"{found.name}{SET_ASIDE}")


@task(task_run_name="docker compose up in {ejection.directory}", **RETRY_TRANSIENT)
async def bring_up(mandate: Mandate, ejection: Ejection) -> None:
    """Afterwards the project's containers have been started. Raises: DaemonError with what Compose said, Fenced."""
    mandate.check()
    projects = this_host().docker.projects
    await until_cancelled(lambda cancelled: projects.bring_up(Path(ejection.directory), cancelled))


@task(task_run_name="wait until the project {ejection.stack} is healthy", **RETRY_TRANSIENT)
async def wait_until_up(ejection: Ejection, replicas: Mapping[str, int]) -> None:
    """Returns once all its containers are healthy, or have ended well. Raises: Unhealthy."""
    docker = this_host().docker
    await until_cancelled(
        lambda cancelled: wait_until_project_is_healthy(
            docker, ejection.stack, replicas, ejection.jobs, settle_s=SETTLE_S, cancelled=cancelled
        )
    )
    get_run_logger().info("the project %s is healthy", ejection.stack)


@task(task_run_name="take the project {ejection.stack} down", **RETRY_TRANSIENT)
async def take_down(mandate: Mandate, ejection: Ejection) -> None:
    """Afterwards nothing of the project is left, nor its secrets in the clear; volumes are. Raises: Fenced."""
    mandate.check()
    host = this_host()
    await in_thread(host.docker.projects.take_down, ejection.stack)
    for copy in ejection.copies.values():
        await in_thread(host.docker.volumes.remove_volume, copy, cluster=host.cluster)
    await in_thread(ejected_files.remove_project, Path(ejection.directory), ejection.stack)


async def forget_begun(stack: str) -> None:
    """Afterwards the host remembers no ejection of the stack."""
    await in_thread(ejected_files.forget_begun, this_host().places, stack)
