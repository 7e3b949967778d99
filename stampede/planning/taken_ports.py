"""Ports that a plan needs and that somebody else has: found before anything changes. Pure.

The look happened a moment ago, so whoever publishes a port in the end looks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stampede.balancer.listeners import BalancedStack
from stampede.balancer.ports import WantedPort, choose_ports, is_balanced, wanted_ports
from stampede.balancer.taken import TakenPort, overlap
from stampede.errors import Foreign, PortTaken, Refused, StampedeError
from stampede.planning.changes import Action, Plan
from stampede.planning.found import FoundHost
from stampede.planning.instances import Instance
from stampede.planning.listening import kept_ports
from stampede.stackfile.models import Port, Stack

_STARTING = frozenset({Action.CREATE, Action.REPLACE, Action.START, Action.RESTART})


def refuse_taken_ports(plan: Plan, wanted: Stack, instances: Sequence[Instance], hosts: Sequence[FoundHost]) -> None:
    """Returns if every port that `plan` will publish is free. What the stack serves already is not asked about.

    Raises: PortTaken when a program has it, Foreign when another stack has, Refused when a container of this stack has
    and the balancer would need it.
    """
    rolls = [roll for stage in plan.stages for lane in stage.lanes for wave in lane.waves for roll in wave.rolls]
    starting = {(roll.service, roll.slot) for roll in rolls if roll.action in _STARTING}
    for host in hosts:
        here = [i for i in instances if i.host == host.host and (i.service, i.slot) in starting]
        _refuse_balanced(wanted, host)
        for instance in here:
            _refuse_published(instance, host)


def _refuse_balanced(wanted: Stack, host: FoundHost) -> None:
    ports = wanted_ports(wanted.name, wanted.services)
    balanced = host.balanced or BalancedStack(stack=wanted.name)
    taken = [held for held in host.taken if held.protocol == "tcp"]
    for port in ports:
        if port.fixed is not None and not _is_served(port, balanced):
            for held in taken:
                if held.port == port.fixed and overlap(held.address, port.host_ip):
                    raise _balanced_error(port, held, host.host)
    try:
        choose_ports(ports, {held.port for held in taken}, kept_ports(ports, balanced))
    except PortTaken as error:
        raise PortTaken(f"{error.message} on {host.host}", error.hint) from error


def _is_served(port: WantedPort, balanced: BalancedStack) -> bool:
    """Whether the balancer has this very port for this stack, for whichever of its services."""
    return any((there.host_ip, there.port) == (port.host_ip, port.fixed) for there in balanced.listeners)


def _balanced_error(port: WantedPort, held: TakenPort, host: str) -> StampedeError:
    what = f"services.{port.service}.ports: port {port.host_ip or '*'}:{port.fixed} of service {port.service}"
    if held.stack == port.stack:
        return Refused(
            f"{what} cannot be balanced while {held.holder} of this stack publishes it on {host}",
            "publish another port, or `stampede scale` that service to 0 first",
        )
    return _error(what, held, host)


def _refuse_published(instance: Instance, host: FoundHost) -> None:
    """Ports that Docker publishes for one container: those of the stack's other containers go before, or are balanced.

    A range has room while one of its ports is free.
    """
    for port in instance.spec.ports:
        if is_balanced(instance.spec, port):
            continue
        held = [_holder(port, number, host.taken, instance.stack) for number in _span(port)]
        if held and all(held):
            name = f"{port.host_ip or '*'}:{port.published}"
            what = f"services.{instance.service}.ports: port {name} ({port.protocol}) of service {instance.service}"
            raise _error(what, next(one for one in held if one), host.host)


def _holder(port: Port, number: int, taken: Sequence[TakenPort], stack: str) -> TakenPort | None:
    return next(
        (
            held
            for held in taken
            if (held.protocol, held.port) == (port.protocol, number)
            and overlap(held.address, port.host_ip)
            and held.stack != stack
        ),
        None,
    )


def _span(port: Port) -> Iterator[int]:
    """The host ports that the file allows; none if any will do."""
    if port.published in (None, "", "0"):
        return
    first, _, last = str(port.published).partition("-")
    yield from range(int(first), int(last or first) + 1)


def _error(what: str, held: TakenPort, host: str) -> StampedeError:
    if held.stack:
        hint = "publish another port, or leave the published port out and one is chosen"
        return Foreign(f"{what} is published by {held.holder} on {host} already", hint)
    return PortTaken(f"{what} is in use by {held.holder} on {host}", "stop that program, or publish another port")
