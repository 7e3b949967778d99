"""On a host: one slot goes from what is there to what is wanted, without a gap where that is possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stampede.flows.take_back import or_take_back, serve_again, start_again
from stampede.planning.changes import Action, Old, Roll
from stampede.planning.dependencies import shares_with
from stampede.planning.instances import Instance
from stampede.planning.placement import Slot
from stampede.stackfile.models import Stack
from stampede.tasks.containers import (
    ensure_container,
    remove_container,
    start_container,
    stop_container,
    wait_until_completed,
)
from stampede.tasks.health import wait_until_healthy
from stampede.tasks.listening import put_in_service, take_out_of_service
from stampede.tasks.mandate import Mandate


@dataclass(frozen=True)
class Ground:
    """What a host has ready for a roll-out: the wanted instances by slot, and their addresses by name."""

    instances: Mapping[Slot, Instance] = field(default_factory=dict)
    addresses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    definition: Stack | None = None

    def companions(self, instance: Instance) -> dict[str, str]:
        """Names of the containers whose namespaces an instance shares, by service: of the same slot, or the first."""
        slots = ((other, slot) for other in shares_with(instance.spec) for slot in (1, instance.slot))
        return {other: self.instances[other, slot].name for other, slot in slots if (other, slot) in self.instances}


async def roll_slot(mandate: Mandate, ground: Ground, roll: Roll) -> None:
    """Afterwards the slot is as wanted and serves; or an error was raised and what served before serves still.

    Stop-first, after an error nothing serves until the change goes back as a whole; when cancelled, the slot goes back.
    """
    if roll.wanted is None:
        return await retire(mandate, roll, roll.old, for_good=True)
    instance = ground.instances[roll.service, roll.slot]
    match roll.action:
        case Action.WAIT:
            await prove(mandate, instance, roll, _kept(roll).id)
        case Action.RESTART:
            step = restart(mandate, instance, roll)
            await or_take_back(roll.label, step, lambda: start_again(mandate, instance, _kept(roll)))
        case Action.START:
            await prove(mandate, instance, roll, await start_container(mandate, _kept(roll)))
        case _ if roll.order == "start-first":
            await bring_up(mandate, ground, instance, roll)
            await retire(mandate, roll, roll.old)
        case _:
            step = swap(mandate, ground, instance, roll)
            await or_take_back(roll.label, step, lambda: serve_again(mandate, instance, roll))
            # One of the same name is gone, and in the balancer the name means the new one by now.
            await retire(mandate, roll, tuple(old for old in roll.old if old.name != instance.name))


async def restart(mandate: Mandate, instance: Instance, roll: Roll) -> None:
    """The same container has been stopped in its own time, was started, and serves."""
    await take_out_of_service(mandate, roll.service, _kept(roll).name)
    await stop_container(mandate, _kept(roll))
    await prove(mandate, instance, roll, await start_container(mandate, _kept(roll)))


async def swap(mandate: Mandate, ground: Ground, instance: Instance, roll: Roll) -> None:
    """The old ones have stopped, and the new one serves. In between, nothing does."""
    await halt(mandate, instance, roll)
    await bring_up(mandate, ground, instance, roll)


async def bring_up(mandate: Mandate, ground: Ground, instance: Instance, roll: Roll) -> None:
    """The new instance runs, is healthy, and is balanced to."""
    container = await ensure_container(
        mandate,
        instance,
        reason=roll.reason,
        addresses=ground.addresses.get(instance.name, {}),
        anonymous_volumes={
            target: name for old in reversed(roll.old) for target, name in old.anonymous_volumes.items()
        },
        ports={key: port for old in reversed(roll.old) for key, port in old.ports.items()},
        companions=ground.companions(instance),
    )
    await prove(mandate, instance, roll, container)


async def prove(mandate: Mandate, instance: Instance, roll: Roll, container: str) -> None:
    """It has completed, or it is healthy and gets traffic."""
    if roll.until == "completed":
        return await wait_until_completed(instance, container)
    await wait_until_healthy(instance, container, roll.settle_s)
    await put_in_service(mandate, instance, container)


async def halt(mandate: Mandate, instance: Instance, roll: Roll) -> None:
    """The old ones no longer run. They are kept until the new one is proven, unless they hold its name."""
    for old in roll.old:
        await take_out_of_service(mandate, roll.service, old.name)
        await stop_container(mandate, old)
        if old.name == instance.name:
            await remove_container(mandate, old, with_anonymous_volumes=False)


async def retire(mandate: Mandate, roll: Roll, leaving: tuple[Old, ...], *, for_good: bool = False) -> None:
    """They get no more traffic, have stopped in their own time, and are gone; with their volumes if the slot goes."""
    for old in leaving:
        await take_out_of_service(mandate, roll.service, old.name)
        await stop_container(mandate, old)
        await remove_container(mandate, old, with_anonymous_volumes=for_good)


def _kept(roll: Roll) -> Old:
    if roll.kept is None:
        raise ValueError(f"{roll.action} {roll.label} without an instance that is there")
    return roll.kept
