"""Which volumes of a stack are backed up, where to, and which stores a command is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stampede.backup.views import BackupView
from stampede.documents import Revision
from stampede.errors import BackupError, BadInput, UnknownName
from stampede.flows.volumes.hosts import Volumes
from stampede.planning.volume_users import services_on
from stampede.stackfile.policies import BackupPolicy
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.stack_state import read_head, revisions_of
from stampede.tasks.stores import known_stores
from stampede.volumes.models import FoundManagedVolume
from stampede.volumes.views import key_of


class BackedUp(NamedTuple):
    """A volume that is there, and what its file says of backups."""

    volume: FoundManagedVolume
    key: str
    policy: BackupPolicy


async def known_revision(stack: str) -> Revision | None:
    """What is wanted of the stack, or what was before it was removed; None for one that was never deployed here."""
    head = await read_head(stack)
    number = head.wanted or head.before or head.latest
    return (await revisions_of(stack, {number})).get(number)


def policies_of(revision: Revision | None) -> dict[str, BackupPolicy]:
    """By the keys of volumes."""
    volumes = revision.definition.volumes if revision else {}
    return {key: volume.backups for key, volume in volumes.items() if volume.backups}


def backed_up(found: Volumes, revision: Revision | None, keys: Sequence[str] | None) -> list[BackedUp]:
    """The volumes with x-backups, or those named.

    Raises: UnknownName, BadInput for one without x-backups, BackupError for one that services use and no host has.
    """
    policies = policies_of(revision)
    if not policies:
        raise BadInput(
            f"no volume of {found.stack} has x-backups", "x-backups: {store: …} of a volume says where its backups go"
        )
    if without := sorted(set(keys or ()) - policies.keys()):
        found.chosen(without)
        raise BadInput(f"{found.stack}/{without[0]} has no x-backups", "x-backups: {store: …} says where to")
    chosen = found.chosen(list(keys) if keys is not None else None)
    if keys is None and (missing := _used(revision, policies) - {key_of(one) for one in chosen}):
        raise BackupError(
            f"no host that answers has {', '.join(f'{found.stack}/{key}' for key in sorted(missing))}: nothing is"
            " backed up",
            "stampede volume ls shows where volumes are; name one to back up only that",
        )
    return [BackedUp(one, key_of(one), policies[key_of(one)]) for one in chosen if key_of(one) in policies]


def _used(revision: Revision | None, keys: Iterable[str]) -> set[str]:
    """Those of these volumes that services mount: the others need not be anywhere."""
    definition = revision.definition if revision else None
    return {key for key in keys if definition and services_on(definition, [definition.volumes[key].name])}


async def stores_of(stack: str, store: str | None, keys: Sequence[str] | None = None) -> list[str]:
    """Stores that may have backups of the stack: the one named, those of its file, or all there are.

    Raises: UnknownName when there is none.
    """
    if store:
        return [store]
    policies = policies_of(await known_revision(stack)) if stack else {}
    named = {policy.store for key, policy in policies.items() if keys is None or key in keys}
    known = await known_stores()
    chosen = sorted(named & set(known)) or known
    if not chosen:
        raise UnknownName("there is no store of backups", "stampede store add adds one")
    return chosen


async def host_for(view: BackupView, found: Volumes) -> str:
    """Where its volume is, or was, or else the first."""
    hosts = await schedulable_hosts()
    there = [one.host for one in found.all if key_of(one) == view.volume]
    return next((host for host in (*there, view.host) if host in hosts), hosts[0])
