"""Snapshots before a deploy, and what they are for: to go back to a revision with the data that it had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stampede.documents import Head, Revision
from stampede.errors import UnknownName
from stampede.flows.volumes.hosts import Volumes, volumes_of
from stampede.flows.volumes.snapshots import let_go, take
from stampede.tasks.stack_state import revisions_of
from stampede.volumes.keeping import BEFORE_DEPLOYS, surplus
from stampede.volumes.labels import BACKUP, KEEP, SERVED, SERVING, TAKEN_BY
from stampede.volumes.models import Snapshot
from stampede.volumes.relief import Dropped

DEPLOY = "deploy"


async def snapshot_before_deploy(wanted: Revision, head: Head) -> None:
    """Afterwards volumes with `before_deploy` have a snapshot of what the serving revision made of them.

    Nothing happens where no other revision is about to take its place. Old ones of the kind go.
    """
    names = {v.name for v in wanted.definition.volumes.values() if v.snapshots and v.snapshots.before_deploy}
    if not names or head.serving in (0, wanted.number):
        return
    found = await volumes_of(wanted.stack, step="look at volumes before the deploy")
    labels = {TAKEN_BY: DEPLOY, SERVED: ",".join(map(str, head.served))}
    # After a deploy that did not end well, the volumes may hold what the next revision wrote: what the serving one had
    # was kept before that deploy began.
    chosen = [v for v in found.all if v.name in names and (head.settled or not _has(found.snapshots(v), labels))]
    if not chosen:
        return
    taken = await take(found, chosen, labels=labels, step="snapshot before the deploy")
    known = {(one.volume, one.id): one for volume in chosen for one in found.snapshots(volume)}
    known |= {(one.volume, one.id): one for one in taken}
    of_volume = ([one for one in known.values() if one.volume == volume.name] for volume in chosen)
    dropped = [gone for snapshots in of_volume for gone in surplus(snapshots, BEFORE_DEPLOYS, DEPLOY)]
    await let_go(found, dropped, step="let snapshots of earlier deploys go")


async def let_bases_go(wanted: Revision, head: Head) -> None:
    """Afterwards no snapshot waits for the next backup of a volume that has no x-backups any more.

    Nothing else would ever remove it.
    """
    if head.serving in (0, wanted.number):
        return
    before = (await revisions_of(wanted.stack, {head.serving})).get(head.serving)
    names = _backed_up(before) - _backed_up(wanted) if before else set[str]()
    if not names:
        return
    found = await volumes_of(wanted.stack, step="look at volumes without backups")
    dropped = [
        Dropped(volume=one.volume, snapshot=one.id, reason="the volume has no x-backups any more")
        for volume in found.all
        if volume.name in names
        for one in found.snapshots(volume)
        if one.labels.get(TAKEN_BY) == BACKUP and KEEP in one.labels
    ]
    await let_go(found, dropped, step="let snapshots for backups go")


def _backed_up(revision: Revision) -> set[str]:
    return {volume.name for volume in revision.definition.volumes.values() if volume.backups}


def _has(snapshots: Iterable[Snapshot], labels: Mapping[str, str]) -> bool:
    return any(labels.items() <= one.labels.items() for one in snapshots)


def data_of(found: Volumes, revision: int) -> dict[str, Snapshot]:
    """By volume, the newest snapshot that was taken before this revision was replaced. Raises: UnknownName for none."""
    newest = {
        volume.name: one
        for volume in found.all
        for one in found.snapshots(volume)
        if one.labels.get(TAKEN_BY) == DEPLOY and one.labels.get(SERVING) == str(revision)
    }
    if not newest:
        raise UnknownName(
            f"there is no snapshot of the data that revision {revision} of {found.stack} had",
            "`x-snapshots: {before_deploy: true}` takes one before each deploy; without --with-data the data stays",
        )
    return newest
