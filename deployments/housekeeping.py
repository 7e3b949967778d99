"""What nobody needs any more goes by itself: images of revisions that are not kept, build cache, used candidates, room
of deleted files in managed volumes.

An image goes only when two looks, an hour or more apart, found it unneeded: between resolving its images and storing
its revision a deploy's images are needed by nothing that could be looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_logger

from stampede.containers.image_names import kept_stack, kept_tag
from stampede.documents import CANDIDATE_TYPE, REVISION_TYPE, Revision
from stampede.errors import StampedeError
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread

LOOK_EVERY_S = 3 * 3600.0
CANDIDATES_KEPT = timedelta(days=7)
CACHE_KEPT_S = 14 * 86400.0
_log = get_logger("stampede.housekeeping")


async def keep_house() -> None:
    """Look now and then, for as long as the worker lives. Never returns."""
    unneeded: frozenset[str] = frozenset()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        unneeded = await prune_images(unneeded)
        await prune_build_cache()
        await remove_used_candidates(datetime.now(UTC))
        await trim_volumes()


async def prune_images(unneeded_before: Collection[str]) -> frozenset[str]:
    """Afterwards those of `unneeded_before` that still nobody needs are gone. Returns what is unneeded now.

    Only of stacks that the server has revisions of: the others are another installation's on the same Docker daemon,
    or of a server that lost its database and has not been rebuilt yet.
    """
    images = this_host().docker.images
    kept = await in_thread(images.kept)
    async with get_client() as client:
        unneeded = unneeded_of(kept, await needed_tags(client))
    for name in await in_thread(images.prune, unneeded & frozenset(unneeded_before)):
        _log.info("removed image %s, which no kept revision needs", name)
    return unneeded


async def prune_build_cache() -> int:
    """Afterwards the build cache of this host holds nothing that no build has used for two weeks. Returns bytes.

    No revision needs it: their images are kept by tags.
    """
    freed = await in_thread(this_host().docker.images.prune_cache, CACHE_KEPT_S)
    if freed:
        _log.info("freed %.0f MB of build cache that no build used for two weeks", freed / 1e6)
    return freed


async def trim_volumes() -> int:
    """Afterwards room of files that were deleted in managed volumes is the pool's again, and is not backed up any more.

    Returns how many bytes that may be. A volume that cannot be trimmed now is trimmed the next time.
    """
    pool, freed = this_host().pool, 0
    for volume in await in_thread(pool.volumes):
        if volume.mounted and not volume.trouble:
            try:
                freed += await in_thread(pool.trim, volume.name)
            except (StampedeError, OSError) as error:
                _log.warning("volume %s was not trimmed: %s", volume.name, error)
    return freed


def unneeded_of(kept: Collection[str], needed: Collection[str]) -> frozenset[str]:
    """Tags of ours that no revision needs, of those stacks of which something is needed."""
    known = {kept_stack(tag) for tag in needed}
    return frozenset(tag for tag in kept if kept_stack(tag) in known) - frozenset(needed)


async def needed_tags(client: PrefectClient) -> frozenset[str]:
    """The tags of every image of every revision that is stored."""
    documents = await _all_of(client, REVISION_TYPE, include_secrets=True)
    revisions = (Revision.model_validate_json(document["content"]) for _, document in documents)
    return frozenset(
        kept_tag(revision.stack, service, image.identity)
        for revision in revisions
        for service, image in revision.images.items()
    )


async def remove_used_candidates(now: datetime) -> int:
    """Afterwards no candidate is older than a week; a run that names one can be repeated that long."""
    removed = 0
    async with get_client() as client:
        for document_id, data in await _all_of(client, CANDIDATE_TYPE):
            if not data["created"] or now - datetime.fromisoformat(data["created"]) > CANDIDATES_KEPT:
                await client.delete_block_document(document_id)
                removed += 1
    return removed


async def _all_of(
    client: PrefectClient, slug: str, *, include_secrets: bool = False
) -> list[tuple[Any, dict[str, Any]]]:
    found: list[tuple[Any, dict[str, Any]]] = []
    while True:
        try:
            page = await client.read_block_documents_by_type(
                slug, offset=len(found), limit=200, include_secrets=include_secrets
            )
        except ObjectNotFound:  # the server has never seen one
            return found
        found += [(document.id, dict(document.data)) for document in page]
        if len(page) < 200:
            return found
