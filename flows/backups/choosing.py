"""Which volumes of a stack are backed up, where to, and which stores a command is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stampede.backup.views import BackupView
from stampede.documents import Revision
from stampede.errors import BackupError, BadInput, Refused, UnknownName
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


class Choice(NamedTuple):
    """What is backed up, and which volumes (keys) should be and are nowhere."""

    stack: str
    volumes: list[BackedUp]
    nowhere: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(f"{self.stack}/{key} is not backed up: no host that answers has it" for key in self.nowhere)


async def known_revision(stack: str) -> Revision | None:
    """What is wanted of the stack, or what was before it was removed; None for one that was never deployed here."""
    head = await read_head(stack)
    number = head.wanted or head.before or head.latest
    return (await revisions_of(stack, {number})).get(number)


def policies_of(revision: Revision | None) -> dict[str, BackupPolicy]:
    """By the keys of volumes."""
    volumes = revision.definition.volumes if revision else {}
    return {key: volume.backups for key, volume in volumes.items() if volume.backups}


def backed_up(
    found: Volumes, revision: Revision | None, keys: Sequence[str] | None, *, scheduled: bool = False
) -> Choice:
    """The volumes with x-backups, or those named. A `scheduled` backup leaves out what is nowhere.

    Of volumes that are called the same, it is the one that the file means. Raises: UnknownName, BadInput for one
    without x-backups, BackupError for one that services use and no host has, Refused when the file means several.
    """
    policies = policies_of(revision)
    if not policies:
        raise BadInput(
            f"no volume of {found.stack} has x-backups", "x-backups: {store: …} of a volume says where its backups go"
        )
    if scheduled:
        wanted = sorted(policies if keys is None else policies.keys() & set(keys))
        there = {key_of(one) for one in found.all}
        volumes = _meant(found, revision, [key for key in wanted if key in there], policies)
        return Choice(found.stack, volumes, tuple(key for key in wanted if key not in there))
    if without := sorted(set(keys or ()) - policies.keys()):
        found.chosen(without)
        raise BadInput(f"{found.stack}/{without[0]} has no x-backups", "x-backups: {store: …} says where to")
    chosen = {key_of(one) for one in found.chosen(list(keys) if keys is not None else None)} & policies.keys()
    if keys is None:
        refuse_missing(revision, Choice(found.stack, [], tuple(sorted(policies.keys() - chosen))))
    return Choice(found.stack, _meant(found, revision, sorted(chosen), policies))


def refuse_missing(revision: Revision | None, choice: Choice) -> None:
    """Raises: BackupError when services use a volume that no host has. What nothing mounts need not be anywhere."""
    definition = revision.definition if revision else None
    used = [key for key in choice.nowhere if definition and services_on(definition, [definition.volumes[key].name])]
    if used:
        raise BackupError(
            f"no host that answers has {', '.join(f'{choice.stack}/{key}' for key in used)}: there is no backup of it",
            "stampede volume ls shows where volumes are; name others to back up only those",
        )


def _meant(
    found: Volumes, revision: Revision | None, keys: Sequence[str], policies: Mapping[str, BackupPolicy]
) -> list[BackedUp]:
    """One volume for each key. Raises: Refused."""
    definition = revision.definition if revision else None
    chosen: list[BackedUp] = []
    for key in keys:
        same = [one for one in found.all if key_of(one) == key]
        if len(same) > 1:
            same = [one for one in same if definition and one.name == definition.volumes[key].name]
        if len(same) != 1:
            raise Refused(
                f"several volumes are called {found.stack}/{key}, and it is not clear which is backed up",
                "stampede volume ls shows them; remove those that are not used",
            )
        chosen.append(BackedUp(same[0], key, policies[key]))
    return chosen


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
