"""Adopt a volume: data of a volume of Docker's own goes into a managed one that takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import flow
from prefect.runtime import flow_run

from stampede.errors import BadInput, Refused
from stampede.flows.converge import Request, converge_quietly
from stampede.flows.volumes.restore_stack import running_revision
from stampede.flows.volumes.standstill import while_stopped
from stampede.frozen import Frozen
from stampede.planning.changes import Action, Change, Outcome
from stampede.planning.found import FoundInstance
from stampede.planning.slots import as_old
from stampede.planning.volume_users import services_on
from stampede.tasks.artifacts import publish_outcome
from stampede.tasks.containers import remove_container
from stampede.tasks.events import announced
from stampede.tasks.hosts import schedulable_hosts
from stampede.tasks.locks import stack_lock
from stampede.tasks.mandate import Mandate
from stampede.tasks.on_host import on_hosts
from stampede.tasks.reading import read_found
from stampede.tasks.volume_adoption import copy_in, read_plain, take_the_place
from stampede.volumes.adoption import ADOPTED_FROM, ORIGINAL, PlainVolume, refuse_adoption, the_one
from stampede.volumes.labels import KEY
from stampede.volumes.models import FoundManagedVolume, WantedVolume
from stampede.volumes.room import human


@dataclass(frozen=True)
class VolumeAdoption(Request):
    """The volume that the file calls `key` shall be a managed one of this size."""

    key: str = ""
    size_bytes: int = 0

    @property
    def label(self) -> str:
        return f"{self.stack}/{self.key}"


class VolumeSurvey(Frozen):
    """A volume on one host, and what the stack runs there."""

    volume: PlainVolume
    instances: tuple[FoundInstance, ...] = ()


@flow(name="survey-plain-volume", persist_result=True)
async def survey_plain_volume(stack: str, name: str) -> VolumeSurvey:
    """What this host has of a volume of this name, and of the stack."""
    return VolumeSurvey(volume=await read_plain(stack, name), instances=(await read_found(stack)).instances)


@flow(name="fill-on-host", persist_result=True)
async def fill_on_host(wanted: WantedVolume, mandate: Mandate) -> FoundManagedVolume:
    """Afterwards the pool of this host has the volume, with the data of Docker's own as it was a moment ago."""
    return await copy_in(mandate, wanted, standing_still=False)


@flow(name="replace-on-host", persist_result=True)
async def replace_on_host(stack: str, wanted: WantedVolume, services: list[str], mandate: Mandate) -> None:
    """Afterwards the managed volume has all of the data and the name; nothing of the services may write any more.

    Their containers are gone, because Docker keeps a volume that any mounts. The original is kept under another name.
    """
    found = await copy_in(mandate, wanted, standing_still=True)
    users = [as_old(one) for one in (await read_found(stack)).instances if one.service in services]
    await asyncio.gather(*(remove_container(mandate, old, with_anonymous_volumes=False) for old in users))
    await take_the_place(mandate, found, f"{wanted.name}{ORIGINAL}")


@flow(name="adopt-volume", flow_run_name="adopt {stack}/{volume}", persist_result=True)
async def adopt_volume(
    stack: str,
    volume: str,
    size_bytes: int,
    dry_run: bool = False,
    wait_for_lock_s: float = 0.0,
    requested_by: str = "",
    why: str = "",
) -> Outcome:
    """Afterwards the volume is a managed one with the data it had; the original is kept as `<name>-original`.

    Most is copied while its instances run, what changed since when they have stopped. Run again, it goes on.
    Raises: UnknownName, Foreign while containers of others mount it, Refused when the size or the pool is too small.
    """
    async with stack_lock(stack, who=requested_by, why=why or "adopt a volume", wait_s=wait_for_lock_s) as lock:
        return await adopt(
            VolumeAdoption(
                stack=stack,
                fence=lock.fence,
                draft=None,
                revision=await running_revision(stack),
                by=requested_by,
                why=why or f"adopt volume {volume}",
                dry_run=dry_run,
                going_back=True,
                key=volume,
                size_bytes=size_bytes,
            )
        )


@announced
async def adopt(request: VolumeAdoption) -> Outcome:
    """The plan; then, unless this is a dry run, the copy and the managed volume in the volume's place."""
    running = request.revision
    name, services = _name_and_services(request)
    asked = {host: {"stack": request.stack, "name": name} for host in await schedulable_hosts()}
    looks = await on_hosts(asked, survey_plain_volume, step=f"look at volume {name}", reuse=False)
    plain = the_one(request.label, name, [look.volume for look in looks.values()])
    if plain.bound:
        return await _finished(request)
    users = _checked(request, plain, looks[plain.host].instances, services)
    labels = {KEY: request.key, ADOPTED_FROM: name}
    wanted = WantedVolume(name=name, stack=request.stack, size_bytes=request.size_bytes, labels=labels)
    if not request.dry_run:
        mandate = Mandate(stack=request.stack, fence=request.fence, run=str(flow_run.id or ""))
        await on_hosts({plain.host: {"wanted": wanted, "mandate": mandate}}, fill_on_host, step=f"copy {name}")

    async def work(mandate: Mandate) -> None:
        order = {"stack": request.stack, "wanted": wanted, "services": services, "mandate": mandate}
        await on_hosts({plain.host: order}, replace_on_host, step=f"replace {name}")

    outcome = await while_stopped(request, running, [_standing_for(wanted, plain)], work)
    outcome = outcome.model_copy(
        update={
            "changes": (_line(request, name, plain), *outcome.changes),
            "warnings": (*_warnings(users), *outcome.warnings),
        }
    )
    if not outcome.dry_run:
        await publish_outcome(outcome)
    return outcome


async def _finished(request: VolumeAdoption) -> Outcome:
    """It is a managed volume already; what an interrupted adoption left stopped runs again."""
    if request.revision is None:
        return Outcome(stack=request.stack, revision=None, dry_run=request.dry_run)
    return await converge_quietly(request)


def _name_and_services(request: VolumeAdoption) -> tuple[str, list[str]]:
    """What Docker calls the volume, and which services of the stack use it. Raises: BadInput for an external one."""
    definition = request.revision.definition if request.revision else None
    declared = definition.volumes.get(request.key) if definition else None
    if definition is None or declared is None:
        return f"{request.stack}_{request.key}", []
    if declared.external:
        raise BadInput(f"{request.label} is external, so it is not the stack's to adopt", "leave external: true out")
    return declared.name, services_on(definition, [declared.name])


def _checked(
    request: VolumeAdoption, plain: PlainVolume, instances: Sequence[FoundInstance], services: Sequence[str]
) -> list[FoundInstance]:
    """Instances that stop for it. Raises: what `refuse_adoption` does, Refused where more data would be lost."""
    if plain.is_there:
        refuse_adoption(request.label, plain, request.size_bytes, {instance.name for instance in instances})
    users = [instance for instance in instances if instance.service in services]
    for user in users:
        if kept := ", ".join(sorted(user.anonymous_volumes)):
            raise Refused(
                f"{user.label}, which uses {request.label}, keeps {kept} in volumes without a name, which would be"
                " lost: its container has to be made anew",
                "give them names in the stack file, and `stampede up`, first",
            )
    return users


def _standing_for(wanted: WantedVolume, plain: PlainVolume) -> FoundManagedVolume:
    """The managed volume as far as it matters who uses it."""
    return FoundManagedVolume(
        name=wanted.name,
        stack=wanted.stack,
        host=plain.host,
        size_bytes=wanted.size_bytes,
        used_bytes=0,
        created=datetime.now(UTC),
        data="",
        mounted=False,
        snapshots=0,
    )


def _line(request: VolumeAdoption, name: str, plain: PlainVolume) -> Change:
    reason = f"{human(plain.used_bytes)} are copied into a managed volume of {human(request.size_bytes)}"
    reason += f"; the original is kept as {name}{ORIGINAL}"
    return Change(action=Action.ADOPT, kind="volume", name=request.label, host=plain.host, reason=reason)


def _warnings(users: Sequence[FoundInstance]) -> tuple[str, ...]:
    if not users:
        return ()
    names = ", ".join(user.label for user in users)
    return (f"{names} is down while what changed since the first copy is copied, and is made anew",)
