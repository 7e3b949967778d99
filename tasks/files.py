"""Configs and secrets on their host: files in memory, with an encrypted copy for the next boot."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

from stampede.blocks import host_files
from stampede.documents import Revision
from stampede.planning.expansion import expand
from stampede.planning.instances import Instance
from stampede.tasks.mandate import Mandate
from stampede.tasks.retry import RETRY_TRANSIENT
from stampede.tasks.this_host import this_host
from stampede.tasks.threads import in_thread


async def ensure_files(mandate: Mandate, wanted: Revision, instances: Sequence[Instance]) -> None:
    """Afterwards every config and secret that these instances mount is on this host."""
    if any(instance.files for instance in instances):
        await place_files(mandate, wanted, instances)


@task(task_run_name="place configs and secrets", **RETRY_TRANSIENT)
async def place_files(mandate: Mandate, wanted: Revision, instances: Sequence[Instance]) -> None:
    """Afterwards their files are there with owner and mode as the stack file says. Raises: Fenced."""
    mandate.check()
    definition = wanted.definition
    for file in {file for instance in instances for file in instance.files}:
        documents = definition.secrets if file.kind == "secret" else definition.configs
        await in_thread(host_files.place_file, this_host().places, mandate.stack, file, documents[file.source].content)


async def remove_files(mandate: Mandate, wanted: Revision | None) -> None:
    """Afterwards this host has no config or secret of the stack that `wanted` does not need, in memory or encrypted.

    Raises: Fenced.
    """
    slots = {(name, 1): this_host().name for name in wanted.definition.services} if wanted else {}
    instances = expand(wanted, slots) if wanted else ()
    needed = frozenset(file.host_name for instance in instances for file in instance.files)
    mandate.check()
    await in_thread(host_files.remove_files, this_host().places, mandate.stack, needed)
