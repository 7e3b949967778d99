"""Stacks for tests of the planner, and a simulated world in which its plans are carried out step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from stampede.balancer.listeners import BalancedStack, Server, listeners_of
from stampede.balancer.ports import choose_ports, is_balanced, wanted_ports
from stampede.documents import Revision
from stampede.planning.changes import Action, Plan, Preparation, Roll
from stampede.planning.dependencies import must_complete, shares_with
from stampede.planning.expansion import expand
from stampede.planning.found import FoundHost, FoundInstance, FoundNetwork, FoundVolume
from stampede.planning.instances import Image, Instance
from stampede.planning.listening import kept_ports
from stampede.planning.network_traits import network_traits
from stampede.planning.placement import Slot, place
from stampede.planning.plan import Demands, Situation, plan_stack
from stampede.planning.slots import NO_DOUBT, Doubt
from stampede.stackfile.models import Network, Stack

STACK = "shop"
SUBNET = "10.42.0.0/24"
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
Step = Callable[[], None]


def revision_of(services: Mapping[str, Mapping[str, Any]], number: int = 1, **sections: Any) -> Revision:
    """A revision of `shop` with these services in canonical form. Volumes that they name are declared."""
    volumes = {
        mount["source"]: {"name": f"{STACK}_{mount['source']}"}
        for service in services.values()
        for mount in service.get("volumes", ())
        if mount["type"] == "volume" and "source" in mount
    }
    document = {
        "name": STACK,
        "services": {name: _whole(service) for name, service in services.items()},
        "networks": {"default": {"name": f"{STACK}_default"}},
        "volumes": volumes,
        **sections,
    }
    images = {
        name: Image(reference=_image(service), identity=f"of {_image(service)}") for name, service in services.items()
    }
    return Revision(stack=STACK, number=number, created=BEGINNING, salt="salt", document=document, images=images)


def _image(service: Mapping[str, Any]) -> str:
    return str(service.get("image", "app:1"))


def _whole(service: Mapping[str, Any]) -> dict[str, Any]:
    networks: dict[str, Any] = {} if "network_mode" in service else {"networks": {"default": None}}
    return {"image": _image(service), **networks, **service}


@dataclass
class World:
    """Hosts on which plans are carried out. `revisions` are those that were ever wanted.

    `bound` are the ids of the containers whose namespaces an instance got when it was made.
    """

    hosts: tuple[str, ...] = ("h1",)
    instances: dict[str, FoundInstance] = field(default_factory=dict)
    networks: dict[str, set[str]] = field(default_factory=dict)
    volumes: dict[str, set[str]] = field(default_factory=dict)
    balanced: dict[str, BalancedStack] = field(default_factory=dict)
    revisions: dict[int, Stack] = field(default_factory=dict)
    clock: datetime = BEGINNING
    seen: Callable[[], None] = lambda: None
    bound: dict[str, set[str]] = field(default_factory=dict)
    plan_slots: Mapping[Slot, Instance] = field(default_factory=dict)

    def found(self) -> tuple[FoundHost, ...]:
        """What would be read back from the hosts."""
        return tuple(
            FoundHost(
                host=host,
                instances=tuple(i for i in self.instances.values() if i.host == host),
                networks=tuple(
                    FoundNetwork(
                        id=n,
                        name=n,
                        stack=STACK,
                        subnet=SUBNET,
                        traits=network_traits(Network(name=n), SUBNET),
                    )
                    for n in sorted(self.networks.get(host, ()))
                ),
                volumes=tuple(FoundVolume(name=v, stack=STACK) for v in sorted(self.volumes.get(host, ()))),
                balanced=self.balanced.get(host),
            )
            for host in self.hosts
        )

    def plan(
        self,
        wanted: Revision | None,
        *,
        demands: Demands | None = None,
        doubt: Doubt = NO_DOUBT,
        stores: frozenset[str] = frozenset(),
    ) -> tuple[Plan, tuple[Instance, ...]]:
        """The plan from here to there, and the instances that are wanted."""
        definition = wanted.definition if wanted else None
        if wanted and definition:
            self.revisions[wanted.number] = definition
        found = self.found()
        homes = place(definition.services, self.hosts, [i for h in found for i in h.instances]) if definition else {}
        instances = expand(wanted, homes) if wanted else ()
        situation = Situation(
            stack=STACK,
            wanted=definition,
            instances=instances,
            hosts=found,
            revisions=self.revisions,
            demands=demands or Demands(),
            doubt=doubt,
            stores=stores,
        )
        return plan_stack(situation), instances

    def go(self, wanted: Revision | None, *, limit: int | None = None, **how: Any) -> bool:
        """Carry out a plan, or its first `limit` steps. False if it was cut off."""
        plan, instances = self.plan(wanted, **how)
        for count, step in enumerate(self.steps(plan, wanted, instances)):
            if count == limit:
                return False
            step()
            self.clock += timedelta(seconds=1)
            self.seen()
        return True

    def running(self, service: str) -> list[str]:
        """Names of the instances of a service that run."""
        return [i.name for i in self.instances.values() if i.service == service and i.state == "running"]

    def adrift(self) -> list[str]:
        """Instances that share a namespace of a container that is not there any more."""
        there = {instance.id for instance in self.instances.values()}
        return [name for name in self.instances if self.bound[name] - there]

    def state(self) -> dict[str, Any]:
        """What can be compared between two worlds."""
        return {
            "instances": sorted((i.host, i.name, i.state) for i in self.instances.values()),
            "networks": {host: sorted(names) for host, names in self.networks.items() if names},
            "volumes": {host: sorted(names) for host, names in self.volumes.items() if names},
            "balanced": {host: stack for host, stack in self.balanced.items() if stack.listeners},
        }

    def steps(self, plan: Plan, wanted: Revision | None, instances: tuple[Instance, ...]) -> Iterator[Step]:
        """The side effects of a plan, one by one, as flows/roll_out.py and flows/roll_slot.py order them."""
        definition = wanted.definition if wanted else None
        by_slot = self.plan_slots = {(i.service, i.slot): i for i in instances}
        for host, preparation in plan.preparations.items():
            yield from self._prepare(host, preparation, definition)
        for stage in plan.stages:
            for lane in stage.lanes:
                for wave in lane.waves:
                    for roll in wave.rolls:
                        yield from self._roll(roll, by_slot.get((roll.service, roll.slot)), definition)
        for host, preparation in plan.preparations.items():
            for network in preparation.obsolete_networks:
                yield lambda host=host, network=network: self.networks[host].discard(network)  # type: ignore[misc]
            for volume in preparation.obsolete_volumes:
                yield lambda host=host, volume=volume: self.volumes[host].discard(volume)  # type: ignore[misc]

    def _prepare(self, host: str, preparation: Preparation, definition: Stack | None) -> Iterator[Step]:
        for network in preparation.networks:
            yield lambda network=network: self.networks.setdefault(host, set()).add(network)  # type: ignore[misc]
        for volume in preparation.volumes:
            yield lambda volume=volume: self.volumes.setdefault(host, set()).add(volume)  # type: ignore[misc]
        for member in preparation.listening.leaving:
            yield lambda member=member: self._unbalance(host, member.service, member.name)  # type: ignore[misc]
        if preparation.listening.added or preparation.listening.removed:
            yield lambda: self._listen(host, definition)
        for member in preparation.listening.joining:
            yield lambda member=member: self._balance(host, member.service, member.name)  # type: ignore[misc]

    def _listen(self, host: str, definition: Stack | None) -> None:
        before = self.balanced.get(host, BalancedStack(stack=STACK))
        ports = wanted_ports(STACK, definition.services) if definition else ()
        chosen = choose_ports(ports, (), kept_ports(ports, before))
        self.balanced[host] = before.with_listeners(listeners_of(definition, chosen) if definition else ())

    def _roll(self, roll: Roll, wanted: Instance | None, definition: Stack | None) -> Iterator[Step]:
        if wanted is None or definition is None or roll.wanted is None:
            yield from self._retire(roll)
            return
        job = wanted.service in must_complete(definition.services)
        kept = roll.kept.name if roll.kept else ""
        companions = _companions(wanted, self.plan_slots)
        match roll.action:
            case Action.WAIT:
                yield from self._prove(wanted, kept, job)
            case Action.RESTART:
                yield lambda: self._unbalance(roll.host, roll.service, kept)
                yield lambda: self._stop(kept)
                yield lambda: self._start(kept, job)
                yield from self._prove(wanted, kept, job)
            case Action.START:
                yield lambda: self._start(kept, job)
                yield from self._prove(wanted, kept, job)
            case _:
                if roll.order == "stop-first":
                    yield from self._halt(roll, wanted)
                yield lambda: self._create(wanted, companions)
                yield lambda: self._start(wanted.name, job)
                yield from self._prove(wanted, wanted.name, job)
                yield from self._retire(roll)

    def _halt(self, roll: Roll, wanted: Instance) -> Iterator[Step]:
        for old in roll.old:
            yield lambda old=old: self._unbalance(roll.host, roll.service, old.name)  # type: ignore[misc]
            yield lambda old=old: self._stop(old.name)  # type: ignore[misc]
            if old.name == wanted.name:
                yield lambda old=old: self._remove(old.name)  # type: ignore[misc]

    def _retire(self, roll: Roll) -> Iterator[Step]:
        for old in roll.old:
            if old.name not in self.instances or self.instances[old.name].id != old.id:
                continue
            yield lambda old=old: self._unbalance(roll.host, roll.service, old.name)  # type: ignore[misc]
            yield lambda old=old: self._stop(old.name)  # type: ignore[misc]
            yield lambda old=old: self._remove(old.name)  # type: ignore[misc]

    def _prove(self, wanted: Instance, name: str, job: bool) -> Iterator[Step]:
        if not job and any(is_balanced(wanted.spec, port) for port in wanted.spec.ports):
            yield lambda: self._balance(wanted.host, wanted.service, name)

    def _create(self, wanted: Instance, companions: Sequence[str]) -> None:
        there = self.instances.get(wanted.name)
        assert there is None or there.spec_hash == wanted.spec_hash, f"{wanted.name} still stands with another spec"
        if there is None:
            self.bound[wanted.name] = {self.instances[name].id for name in companions}
            self.instances[wanted.name] = FoundInstance(
                id=f"{wanted.name} of {self.clock:%H%M%S}",
                name=wanted.name,
                host=wanted.host,
                stack=STACK,
                service=wanted.service,
                slot=wanted.slot,
                revision=wanted.revision,
                spec_hash=wanted.spec_hash,
                state="created",
                image=wanted.image.reference,
                image_identity=wanted.image.identity,
                created_at=self.clock,
            )

    def _start(self, name: str, job: bool) -> None:
        self._change(name, state="exited" if job else "running", exit_code=0 if job else None)

    def _stop(self, name: str) -> None:
        """A well-behaved program ends with exit code 0 when it is asked to."""
        if self.instances[name].state == "running":
            self._change(name, state="exited", exit_code=0)

    def _remove(self, name: str) -> None:
        del self.instances[name]

    def _change(self, name: str, **changes: Any) -> None:
        self.instances[name] = self.instances[name].model_copy(update=changes)

    def _balance(self, host: str, service: str, name: str) -> None:
        server = Server(service=service, name=name, address="10.42.0.9", state="serving")
        self.balanced[host] = self.balanced.get(host, BalancedStack(stack=STACK)).with_server(server)

    def _unbalance(self, host: str, service: str, name: str) -> None:
        self.balanced[host] = self.balanced.get(host, BalancedStack(stack=STACK)).without_server(service, name)


def _companions(wanted: Instance, slots: Mapping[Slot, Instance]) -> list[str]:
    """Names of the instances whose namespaces it shares: of the same slot, or the first."""
    own = [(other, wanted.slot) for other in sorted(shares_with(wanted.spec))]
    return [slots[slot if slot in slots else (slot[0], 1)].name for slot in own]
