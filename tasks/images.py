"""Images of services: on the host, identified, and kept for as long as a revision needs them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from prefect import get_run_logger, task
from prefect.client.orchestration import get_client

from stampede.blocks.documents import Documents
from stampede.errors import BadInput, Cancelled, DaemonError, ImageMissing
from stampede.planning.instances import Image
from stampede.stackfile import read_document
from stampede.stackfile.models import Service
from stampede.tasks.logins import registry_logins
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread, left_when_cancelled


async def resolve_images(stack: str, candidate: str, pull: str | None, build: bool) -> dict[str, Image]:
    """The image of every service of a candidate, present and tagged on this host. Services of one image share the work.

    `pull` overrides the file's pull_policy; `build` builds even what is there. Raises what `resolve_image` raises.
    """
    async with get_client() as client:
        definition = read_document(await Documents(client).read_candidate(candidate))
    pending: dict[str, asyncio.Task[Image]] = {}
    for name, service in definition.services.items():
        key = _source(stack, name, service)
        if key not in pending:
            pending[key] = asyncio.create_task(resolve_image(stack, name, service, pull, build))
    await asyncio.gather(*pending.values())
    images = {name: pending[_source(stack, name, s)].result() for name, s in definition.services.items()}
    await keep_images(stack, images)
    return images


async def missing_images(stack: str, images: Mapping[str, Image]) -> dict[str, str]:
    """Afterwards each image of a revision, by service, is on this host; returns why, of those that cannot be had.

    What is not here is pulled by its digest, so that it is the very same on every host.
    """
    keep = this_host().docker.images.keep

    async def why_missing(service: str, image: Image) -> str:
        try:
            with suppress(ImageMissing):
                await in_thread(keep, image, stack, service)
                return ""
            await fetch_image(stack, service, image)
        except DaemonError as error:
            return str(error)
        return ""

    found = await asyncio.gather(*(why_missing(service, image) for service, image in images.items()))
    return {service: why for service, why in zip(images, found, strict=True) if why}


@task(task_run_name="fetch image of {service}", **RETRY_TRANSIENT)
async def fetch_image(stack: str, service: str, image: Image) -> None:
    """Afterwards the image of a revision is on this host. Raises: ImageMissing, RegistryUnreachable, DaemonError."""
    if not image.pin:
        raise ImageMissing(
            f"{image.reference} came from no registry: it was built or loaded",
            "push it to a registry and name it by `image`, or deploy the stack file again, which builds it here",
        )
    images, logins, log = this_host().docker.images, await registry_logins(), get_run_logger().info
    pulled = await left_when_cancelled(
        lambda cancelled: images.resolve(
            image.pin, credentials=logins, progress=_unless(cancelled, image.reference, log)
        )
    )
    if pulled.identity != image.identity:
        raise ImageMissing(f"{image.pin} is another image on this host", "is it for another architecture?")
    await in_thread(images.keep, pulled, stack, service)


@task(task_run_name="resolve image of {service}", **RETRY_TRANSIENT)
async def resolve_image(stack: str, service: str, spec: Service, pull: str | None, build: bool) -> Image:
    """Afterwards the image is on this host, as fresh as the policy says. Services with `build` are built if missing.

    Raises: ImageMissing, RegistryUnreachable, DaemonError, BadInput when a service has neither image nor build.
    """
    images, log = this_host().docker.images, get_run_logger().info
    reference = image_reference(stack, service, spec)
    policy = pull or spec.pull_policy
    if spec.build is None or (policy in ("always", "missing", "never") and spec.image and not build):
        try:
            return await _resolve_or_pull(reference, spec, policy, log)
        except ImageMissing:
            if spec.build is None or policy == "never":
                raise
    if not build and policy != "build":
        try:
            return await in_thread(images.resolve, reference, pull_policy="never")
        except ImageMissing:
            log("%s is built, because it is not there yet", reference)
    assert spec.build is not None
    recipe = spec.build
    return await left_when_cancelled(
        lambda cancelled: images.build(recipe, reference, progress=_unless(cancelled, reference, log))
    )


async def _resolve_or_pull(reference: str, spec: Service, policy: str | None, progress: Callable[[str], None]) -> Image:
    """Logins are read only when something may have to be pulled: reading them is a request to the server."""
    images = this_host().docker.images
    if policy in (None, "missing"):
        with suppress(ImageMissing):
            return await in_thread(images.resolve, reference, pull_policy="never", platform=spec.platform)
    logins = await registry_logins()
    return await left_when_cancelled(
        lambda cancelled: images.resolve(
            reference,
            pull_policy=policy,
            platform=spec.platform,
            credentials=logins,
            progress=_unless(cancelled, reference, progress),
        )
    )


@task(task_run_name="keep images of {stack}", **RETRY_TRANSIENT)
async def keep_images(stack: str, images: dict[str, Image]) -> None:
    """Afterwards a tag of ours holds each image (by service) for this stack; pruning spares them."""
    keep = this_host().docker.images.keep
    await asyncio.gather(*(in_thread(keep, image, stack, service) for service, image in images.items()))


def image_reference(stack: str, service: str, spec: Service) -> str:
    """What the service's image is called; for a service that is only built, `stack-service` as Compose has it."""
    if spec.image:
        return spec.image
    if spec.build is None:
        raise BadInput(f"service {service} has neither image nor build", "name an image, or how to build one")
    return f"{stack}-{service}"


def _unless(cancelled: threading.Event, reference: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    """`progress`, which once it is cancelled ends the pull or build at its next line."""

    def go_on(line: str) -> None:
        if cancelled.is_set():
            raise Cancelled(f"getting {reference} was cancelled")
        progress(line)

    return go_on


def _source(stack: str, service: str, spec: Service) -> str:
    build = spec.build.model_dump_json() if spec.build else ""
    return f"{image_reference(stack, service, spec)} {spec.platform} {spec.pull_policy} {build}"
