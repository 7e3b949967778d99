"""Whether the networks of a stack can hold old and new instances at once, wave by wave. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stampede.addresses import NETWORK_PREFIX, reserved, room
from stampede.errors import BadInput
from stampede.planning.changes import Action, Lane, Plan, Roll
from stampede.planning.found import FoundHost, FoundInstance
from stampede.planning.instances import Instance
from stampede.planning.placement import Slot
from stampede.stackfile.models import Network, Stack

_MAKING = frozenset({Action.CREATE, Action.REPLACE})


def refuse_full_networks(plan: Plan, wanted: Stack, instances: Sequence[Instance], hosts: Sequence[FoundHost]) -> None:
    """Returns if every network has an address for each instance that `plan` has on it at any time.

    Lanes of a stage take their waves at the same time, so their largest needs are added up. Raises: BadInput.
    """
    by_slot = {(instance.service, instance.slot): instance for instance in instances}
    for host in hosts:
        found = {instance.id: instance for instance in host.instances}
        for key, network in wanted.networks.items():
            if network.external:
                continue
            subnet, used = _state(network, host)
            free = room(subnet, {*used, *reserved(network)})
            need, most = _need(plan, host.host, network.name, by_slot, found)
            if need > free:
                lower = "lower update_config.parallelism, or " if most > 1 else ""
                raise BadInput(
                    f"networks.{key}: network {network.name} on {host.host} ({subnet}) has room for {free} more"
                    f" instances, and this change needs {need} at once",
                    f"{lower}set a larger subnet in ipam.config of a network with another key",
                )


def _state(network: Network, host: FoundHost) -> tuple[str, tuple[str, ...]]:
    """Its subnet, and the addresses that are taken. One that is not there yet gets that of the file, or one of ours."""
    there = next((found for found in host.networks if found.name == network.name and found.subnet), None)
    if there:
        return there.subnet, there.used
    said = next((pool.subnet for pool in network.ipam.config if pool.subnet and ":" not in pool.subnet), None)
    return said or f"0.0.0.0/{NETWORK_PREFIX}", ()


def _need(
    plan: Plan, host: str, network: str, wanted: Mapping[Slot, Instance], found: Mapping[str, FoundInstance]
) -> tuple[int, int]:
    """The most addresses that are needed beyond today's at any time, and the most replacements of one wave."""
    balance = peak = most = 0
    for stage in plan.stages:
        needs = [_lane(lane, host, network, wanted, found) for lane in stage.lanes]
        peak = max(peak, balance + sum(need for need, _ in needs))
        balance += sum(change for _, change in needs)
        replaced = (
            sum(1 for r in wave.rolls if r.action is Action.REPLACE) for lane in stage.lanes for wave in lane.waves
        )
        most = max(most, *replaced, 0)
    return peak, most


def _lane(
    lane: Lane, host: str, network: str, wanted: Mapping[Slot, Instance], found: Mapping[str, FoundInstance]
) -> tuple[int, int]:
    """What a lane needs at its peak, and what it needs more, or less, when it is through."""
    balance = peak = 0
    for wave in lane.waves:
        rolls = [roll for roll in wave.rolls if roll.host == host]
        new = sum(_is_new(roll, network, wanted) for roll in rolls)
        peak = max(peak, balance + new)
        balance += new - sum(_leaving(roll, network, wanted, found) for roll in rolls)
    return peak, balance


def _is_new(roll: Roll, network: str, wanted: Mapping[Slot, Instance]) -> bool:
    """Whether it needs an address that it has not got. One of the same name as before takes over its address."""
    instance = wanted.get((roll.service, roll.slot))
    if instance is None or roll.wanted is None or network not in instance.networks or roll.kept:
        return False
    return roll.action in _MAKING and all(old.name != instance.name for old in roll.old)


def _leaving(roll: Roll, network: str, wanted: Mapping[Slot, Instance], found: Mapping[str, FoundInstance]) -> int:
    """How many addresses are free again once it is done."""
    instance = wanted.get((roll.service, roll.slot)) if roll.wanted else None
    gone = [found[old.id] for old in roll.old if old.id in found and (instance is None or old.name != instance.name)]
    return sum(network in each.addresses for each in gone)
