"""A volume of Docker's own becomes a managed one, on its host: one side effect each, safe to repeat."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task

from stampede.blocks.tree_copy import copy_tree, every_so_often, identity_of, tree_bytes
from stampede.errors import Refused
from stampede.tasks.mandate import Mandate
from stampede.tasks.pool import show_to_docker
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread, until_cancelled
from stampede.volumes.adoption import ADOPTED_DIRECTORY, ADOPTED_FROM, PlainVolume
from stampede.volumes.models import FoundManagedVolume, WantedVolume


@task(task_run_name="look at volume {name}", **RETRY_TRANSIENT)
async def read_plain(stack: str, name: str) -> PlainVolume:
    """What this host has of a volume of this name, in Docker and in the pool."""
    host = this_host()
    data = await in_thread(host.docker.volumes.data_of, name)
    known = await in_thread(host.docker.volumes.volumes, host.cluster, stack)
    pooled = {found.name: found for found in await in_thread(host.pool.volumes)}.get(name)
    return PlainVolume(
        host=host.name,
        is_there=data is not None,
        used_bytes=await in_thread(tree_bytes, data) if data else 0,
        bound=name in {found.name for found in known if found.managed},
        users=await in_thread(host.docker.volumes.users_of, name) if data else (),
        in_pool=pooled is not None,
        begun=pooled is not None and await in_thread(_is_from, pooled, data),
    )


@task(task_run_name="copy {wanted.name} into the pool", **RETRY_TRANSIENT)
async def copy_in(mandate: Mandate, wanted: WantedVolume, *, standing_still: bool) -> FoundManagedVolume:
    """Afterwards the pool has the volume with the data of Docker's own, as far as that stands still.

    Once Docker's own is gone, the pool's is the one that counts, and is left alone, also when another one of the name
    is there by now. Raises: Refused when that is so, when the pool cannot promise its size or has another of that name;
    DaemonError when it is too small.
    """
    mandate.check()
    host, log = this_host(), get_run_logger()
    source = await in_thread(host.docker.volumes.data_of, wanted.name)
    if source is not None and source.exists():
        came_from = {ADOPTED_DIRECTORY: await in_thread(identity_of, source)}
        wanted = wanted.model_copy(update={"labels": {**wanted.labels, **came_from}})
    found = await in_thread(host.pool.ensure_volume, wanted)
    if not await in_thread(_is_from, found, source):
        raise Refused(
            f"there is a managed volume {wanted.name} already, with other data than this one of Docker's own",
            "look at both, and remove one first",
        )
    if source is None or not source.exists():
        return found
    target = await in_thread(host.pool.mount, wanted.name)
    copied = await until_cancelled(
        lambda cancelled: copy_tree(
            source,
            target,
            changed_since=found.created.timestamp() if standing_still else None,
            cancelled=cancelled,
            progress=every_so_often(lambda done: log.info("%s: %d MiB", wanted.name, done >> 20)),
        )
    )
    log.info("%s: %d files, %d bytes, of which %d copied", wanted.name, copied.files, copied.bytes, copied.copied_bytes)
    return found


@task(task_run_name="let Docker bind {volume.name}", **RETRY_TRANSIENT)
async def take_the_place(mandate: Mandate, volume: FoundManagedVolume, original: str) -> None:
    """Afterwards the name means the managed volume, and what it meant is the volume `original`. Raises: Fenced."""
    mandate.check()
    host = this_host()
    await in_thread(host.docker.volumes.set_apart, volume.name, original, cluster=host.cluster, stack=mandate.stack)
    await in_thread(show_to_docker, host, volume)


def _is_from(found: FoundManagedVolume, source: Path | None) -> bool:
    """Whether an adoption made it, and of this very directory, if that is there."""
    if ADOPTED_FROM not in found.labels:
        return False
    return source is None or not source.exists() or found.labels.get(ADOPTED_DIRECTORY) == identity_of(source)
