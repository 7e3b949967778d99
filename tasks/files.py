"""Configs and secrets on their host: files in memory, with an encrypted copy for the next boot."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

from stampede.documents import Revision
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
    from stampede.blocks.host_files import place_file

    mandate.check()
    definition = wanted.definition
    for file in {file for instance in instances for file in instance.files}:
        documents = definition.secrets if file.kind == "secret" else definition.configs
        await in_thread(place_file, this_host().places, mandate.stack, file, documents[file.source].content)


@task(task_run_name="remove configs and secrets", **RETRY_TRANSIENT)
async def remove_files(mandate: Mandate) -> None:
    """Afterwards this host has no config or secret of the stack, in memory or encrypted. Raises: Fenced."""
    from stampede.blocks.host_files import remove_files as remove

    mandate.check()
    await in_thread(remove, this_host().places, mandate.stack)
