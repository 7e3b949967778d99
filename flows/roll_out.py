"""On a host: carry out its part of a plan. Make ready, move slots wave by wave, clear away."""

from __future__ import annotations

import asyncio
from collections.abc import Set

from prefect import flow

from stampede.documents import Revision
from stampede.errors import DaemonError, Refused, Transient, Unhealthy, UpdateFailed, UpdatePaused
from stampede.flows.roll_slot import Ground, roll_slot
from stampede.frozen import Frozen
from stampede.planning.batches import HostWork
from stampede.planning.changes import Lane, Stage
from stampede.planning.dependencies import shares_with
from stampede.planning.expansion import expand
from stampede.planning.instances import Instance
from stampede.planning.placement import Slot
from stampede.stackfile.models import Stack
from stampede.tasks.files import ensure_files, remove_files
from stampede.tasks.listening import ensure_listening
from stampede.tasks.mandate import Mandate
from stampede.tasks.networks import AddressBook, ensure_network, remove_network
from stampede.tasks.revisions import keep_wanted, note_leaving, note_serving
from stampede.tasks.stack_state import read_revision
from stampede.tasks.volumes import ensure_volume, remove_volume


class RollReport(Frozen):
    """What went wrong in lanes whose failure_action is `continue`."""

    warnings: tuple[str, ...] = ()


@flow(name="roll-out", persist_result=True)
async def roll_out(stack: str, revision: int, mandate: Mandate, work: HostWork) -> RollReport:
    """Afterwards this host's part of the plan is carried out. `revision` 0 means that the stack goes.

    Raises: UpdateFailed or UpdatePaused, as the failing service's failure_action says; then later stages have not
    begun, and what served before serves still.
    """
    wanted = await read_revision(stack, revision) if revision else None
    if wanted:
        await keep_wanted(mandate, wanted)
    else:
        await note_leaving(mandate)
    ground, book = await make_ready(mandate, wanted, work)
    warnings: list[str] = []
    for stage in work.stages:
        warnings += await roll_stage(mandate, ground, book, stage)
    await clear(mandate, wanted, work)
    await note_serving(mandate, wanted)
    return RollReport(warnings=tuple(warnings))


async def make_ready(mandate: Mandate, wanted: Revision | None, work: HostWork) -> tuple[Ground, AddressBook]:
    """Networks, volumes, files and published ports are there, and the book knows where addresses come from."""
    if wanted is None:
        await ensure_listening(mandate, None, work.preparation.listening)
        return Ground(), AddressBook()
    definition = wanted.definition
    instances = _instances(wanted, work)
    needed = {*work.preparation.networks, *(name for instance in instances.values() for name in instance.networks)}
    networks = [network for network in definition.networks.values() if network.name in needed]
    mounted = (name for instance in instances.values() for name in instance.volumes.values())
    *subnets, _ = await asyncio.gather(
        *(ensure_network(mandate, network) for network in networks),
        ensure_volumes(mandate, definition, {*work.preparation.volumes, *work.preparation.grown_volumes, *mounted}),
    )
    ours = {n.name: subnet for n, subnet in zip(networks, subnets, strict=True) if not n.external and subnet}
    await ensure_listening(mandate, definition, work.preparation.listening)
    await ensure_files(mandate, wanted, list(instances.values()))
    book = AddressBook({network.name: network for network in networks}, ours)
    return Ground(instances=instances, addresses=book.given, definition=definition), book


async def ensure_volumes(mandate: Mandate, definition: Stack, names: Set[str]) -> None:
    """The named volumes (by Docker's names) exist: Docker would make a missing one by itself, without a word."""
    wanted = {key: volume for key, volume in definition.volumes.items() if volume.name in names}
    await asyncio.gather(*(ensure_volume(mandate, key, volume) for key, volume in wanted.items()))


async def roll_stage(mandate: Mandate, ground: Ground, book: AddressBook, stage: Stage) -> list[str]:
    """All lanes at once; the first error is raised when all of them have ended. Returns warnings."""
    lanes = (roll_lane(mandate, ground, book, lane) for lane in stage.lanes)
    done = await asyncio.gather(*lanes, return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome
    return [warning for outcome in done if not isinstance(outcome, BaseException) for warning in outcome]


async def roll_lane(mandate: Mandate, ground: Ground, book: AddressBook, lane: Lane) -> list[str]:
    """Wave after wave. Raises UpdateFailed when more slots fail than `max_failure_ratio` allows.

    What is not the instances' fault is raised as it is, and nothing goes back because of it: Fenced, Cancelled, and
    Transient when a daemon stays away.
    """
    total = sum(len(wave.rolls) for wave in lane.waves)
    failures: list[str] = []
    for wave in lane.waves:
        await book.give([ground.instances[r.service, r.slot] for r in wave.rolls if r.wanted])
        done = await asyncio.gather(*(roll_slot(mandate, ground, r) for r in wave.rolls), return_exceptions=True)
        for roll, outcome in zip(wave.rolls, done, strict=True):
            if isinstance(outcome, Unhealthy | DaemonError | Refused) and not isinstance(outcome, Transient):
                failures.append(f"{roll.label}: {outcome}")
            elif isinstance(outcome, BaseException):
                raise outcome
        if len(failures) > lane.max_failure_ratio * total and lane.on_failure != "continue":
            kind = UpdatePaused if lane.on_failure == "pause" else UpdateFailed
            raise kind("; ".join(failures), f"stampede logs {lane.service} shows what it said")
        await asyncio.sleep(wave.pause_s)
    return failures


async def clear(mandate: Mandate, wanted: Revision | None, work: HostWork) -> None:
    """Networks and volumes that nothing uses any more are gone; files too, once no old instance mounts them."""
    await asyncio.gather(*(remove_network(mandate, name) for name in work.clear.obsolete_networks))
    await asyncio.gather(*(remove_volume(mandate, name) for name in work.clear.obsolete_volumes))
    if work.is_last:
        await remove_files(mandate, wanted)


def _instances(wanted: Revision, work: HostWork) -> dict[Slot, Instance]:
    """The instances that the rolls of this host name, and those whose namespaces they share, by slot."""
    rolls = [r for stage in work.stages for lane in stage.lanes for wave in lane.waves for r in wave.rolls if r.wanted]
    services = wanted.definition.services
    homes = {(r.service, r.slot): r.host for r in rolls}
    for roll in rolls:
        for other in shares_with(services[roll.service]):
            homes |= {(other, slot): roll.host for slot in {1, roll.slot} if slot <= services[other].replicas}
    return {(i.service, i.slot): i for i in expand(wanted, homes)}
