"""On a host: what is there, and which images a stack's services stand for."""

from __future__ import annotations

import asyncio

from prefect import flow

from stampede.frozen import Frozen
from stampede.planning.found import FoundHost
from stampede.planning.instances import Image
from stampede.tasks.images import missing_images, resolve_images
from stampede.tasks.mandate import Mandate
from stampede.tasks.reading import read_found
from stampede.tasks.revisions import told_revision


class Survey(Frozen):
    """`told` is the revision that the host knows of, -1 if it was left half-way.

    `images` is by service, empty where no candidate was given; `missing` says by service why the image of a revision
    cannot be had here.
    """

    found: FoundHost
    told: int = 0
    images: dict[str, Image] = {}
    missing: dict[str, str] = {}


@flow(name="survey-host", persist_result=True)
async def survey_host(
    stack: str,
    candidate: str = "",
    pull: str | None = None,
    build: bool = False,
    mandate: Mandate | None = None,
    images: dict[str, Image] | None = None,
) -> Survey:
    """What this host has of `stack`; with a candidate, its images are on this host afterwards (pulled or built).

    So are known `images`, as far as they can be had: a host that gets no instance may do without.

    With a mandate, no earlier change touches anything from before the look on: what was seen stays true until the plan
    that is made from it is carried out.
    Raises: ImageMissing, RegistryUnreachable, DaemonUnavailable, DaemonError naming the build step that failed, Fenced.
    """
    if mandate:
        mandate.check()
    if not candidate:
        found, missing = await asyncio.gather(read_found(stack), missing_images(stack, images or {}))
        return Survey(found=found, told=told_revision(stack), missing=missing)
    found, resolved = await asyncio.gather(read_found(stack), resolve_images(stack, candidate, pull, build))
    return Survey(found=found, told=told_revision(stack), images=resolved)
