"""The daemon in memory, and how its side effects fail."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from stampede.balancer.taken import TakenPort
from stampede.blocks.docker.events import Event
from stampede.containers.traits import Traits
from stampede.errors import DaemonUnavailable
from stampede.planning import identity
from stampede.planning.found import ForeignContainer, FoundHost
from stampede.planning.instances import Instance
from tests.fakes.docker.container import FakeContainer, Script
from tests.fakes.docker.containers import FakeContainers
from tests.fakes.docker.images import FakeImages
from tests.fakes.docker.networks import FakeNetworks
from tests.fakes.docker.projects import FakeProjects
from tests.fakes.docker.volumes import FakeVolumes

_EXITS = re.compile(r"exit (\d+)")


class FakeDockerHost:
    """See contract.Docker. Tests may look at `effects`, the side effects in order, and at the dictionaries."""

    def __init__(self, *, fail_at: int | None = None, fail_after: bool = False, away: bool = False) -> None:
        self.fail_at, self.fail_after, self.away = fail_at, fail_after, away
        self.effects: list[str] = []
        self.happened: list[Event] = []
        self.changed = threading.Condition(threading.RLock())
        self.by_name: dict[str, FakeContainer] = {}
        self.foreign: list[ForeignContainer] = []
        self.taken_ports: set[int] = set()
        self._scripts: list[tuple[Callable[[Instance], bool], Script]] = []
        self.networks = FakeNetworks(self)
        self.volumes = FakeVolumes(self)
        self.projects = FakeProjects(self)
        self.images = FakeImages(self)
        self.traits = Traits()
        self.containers = FakeContainers(self)

    def script(self, applies: Callable[[Instance], bool], script: Script) -> None:
        """Instances that are created from now on and to which it applies behave so; the latest script wins."""
        self._scripts.insert(0, (applies, script))

    def script_of(self, instance: Instance) -> Script:
        for applies, script in self._scripts:
            if applies(instance):
                return script
        ends = _EXITS.search(" ".join(instance.spec.command or ()))
        return Script(exits=int(ends[1])) if ends else Script()

    @contextmanager
    def effect(self, what: str) -> Iterator[None]:
        """A side effect: counted, done by one thread at a time, and the one that fails if its turn has come."""
        with self.changed:
            self.answer()
            self.effects.append(what)
            due = len(self.effects) == self.fail_at
            if due and not self.fail_after:
                raise DaemonUnavailable(f"the fake daemon went away before: {what}")
            yield
            self.changed.notify_all()
            if due:
                raise DaemonUnavailable(f"the fake daemon went away after: {what}")

    def answer(self) -> None:
        if self.away:
            raise DaemonUnavailable("the fake daemon is away")

    def tell(self, action: str, container: FakeContainer, exit_code: int | None = None) -> None:
        found = container.found
        self.happened.append(
            Event(
                action=action,
                container=found.id,
                stack=found.stack,
                service=found.service,
                slot=found.slot,
                exit_code=exit_code,
                at=datetime.now(UTC),
            )
        )

    def crash(self, name: str, exit_code: int = 1) -> None:
        """Its main process ends, and its restart policy does what Docker would do at once."""
        with self.changed:
            container = self.by_name[name]
            self.tell("die", container, exit_code)
            if container.is_restarted_after(exit_code):
                container.change(restarts=container.found.restarts + 1, started_at=datetime.now(UTC))
                self.tell("start", container)
            else:
                container.change(state="exited", exit_code=exit_code, health="none")
            self.changed.notify_all()

    def found(self, host_name: str, cluster: str, stack: str | None = None, *, detail: bool = False) -> FoundHost:
        with self.changed:
            self.answer()
            ours = [c for c in self.by_name.values() if c.labels[identity.CLUSTER] == cluster]
            return FoundHost(
                host=host_name,
                instances=tuple(
                    sorted(
                        (
                            c.found.model_copy(update={"host": host_name})
                            for c in ours
                            if stack in (None, c.found.stack)
                        ),
                        key=lambda found: (found.stack, found.service, found.slot, found.name),
                    )
                ),
                networks=tuple(n for n in self.networks.of_cluster(cluster) if stack in (None, n.stack)),
                volumes=self.volumes.volumes(cluster, stack),
                other_networks=self.networks.others(cluster, stack),
                other_volumes=self.volumes.others(cluster, stack),
                foreign=tuple(self.foreign),
                taken=tuple(
                    TakenPort(
                        protocol=protocol,
                        address="0.0.0.0",
                        port=port,
                        holder=f"container {c.found.name}",
                        stack=c.found.stack,
                        container=c.found.id,
                    )
                    for c in self.by_name.values()
                    if c.found.state == "running"
                    for protocol, port in self.containers.published(c)
                ),
            )

    def events(self, cluster: str, since: datetime | None = None) -> Iterator[Event]:
        seen = 0 if since else len(self.happened)
        while True:
            with self.changed:
                self.answer()
                while seen == len(self.happened):
                    self.changed.wait(1.0)
                event = self.happened[seen]
            seen += 1
            if since is None or event.at >= since:
                yield event

    def ping(self) -> None:
        self.answer()
