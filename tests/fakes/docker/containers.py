"""Containers in memory."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stampede.containers.create_body import create_body
from stampede.containers.networking import ordered_networks
from stampede.errors import Cancelled, DaemonError, Foreign, ImageMissing, PortTaken
from stampede.planning import identity
from stampede.planning.found import FoundInstance
from stampede.planning.instances import Instance
from tests.fakes.docker.container import FakeContainer

if TYPE_CHECKING:
    from tests.fakes.docker.host import FakeDockerHost

_EXITS = re.compile(r"exit (\d+)")
_TERMINATED = 143


class FakeContainers:
    """See contract.Containers."""

    def __init__(self, host: FakeDockerHost) -> None:
        self._host = host

    def create(
        self,
        instance: Instance,
        *,
        addresses: Mapping[str, str],
        files_dir: Path,
        labels: Mapping[str, str],
        host_ports: Mapping[str, int] | None = None,
        anonymous_volumes: Mapping[str, str] | None = None,
        container_of_service: Mapping[str, str] | None = None,
    ) -> str:
        body = create_body(
            instance,
            addresses=addresses,
            files_dir=files_dir,
            labels=labels,
            host_ports=host_ports,
            anonymous_volumes=anonymous_volumes,
            container_of_service=container_of_service,
        )
        container = self._there(instance, labels) or self._create(instance, body, dict(labels), dict(host_ports or {}))
        for network in ordered_networks(instance):
            if network not in container.attached:
                with self._host.effect(f"connect {instance.name} to {network}"):
                    self.attach(container, network, addresses.get(network))
        return container.found.id

    def _there(self, instance: Instance, labels: Mapping[str, str]) -> FakeContainer | None:
        self._host.answer()
        if any(foreign.name == instance.name for foreign in self._host.foreign):
            raise Foreign(f"a container named {instance.name} exists already and is not of stack {instance.stack}")
        there = self._host.by_name.get(instance.name)
        if there is None:
            return None
        if there.labels[identity.CLUSTER] != labels[identity.CLUSTER] or there.found.stack != instance.stack:
            raise Foreign(f"a container named {instance.name} exists already and is not of stack {instance.stack}")
        if there.found.spec_hash != instance.spec_hash:
            raise DaemonError(f"{instance.name} still stands with another spec")
        return there

    def _create(
        self, instance: Instance, body: dict[str, Any], labels: dict[str, str], host_ports: dict[str, int]
    ) -> FakeContainer:
        if body["Image"] not in self._host.images.tags:
            raise ImageMissing(
                f"the image of {instance.label} ({instance.image.reference}) is not on this host any more"
            )
        with self._host.effect(f"create {instance.name}"):
            serial = f"{instance.name}{len(self._host.effects)}"
            mounts = body["HostConfig"]["Mounts"]
            found = FoundInstance(
                id=hashlib.sha256(serial.encode()).hexdigest(),
                name=instance.name,
                host="",
                stack=instance.stack,
                service=instance.service,
                slot=instance.slot,
                revision=instance.revision,
                spec_hash=instance.spec_hash,
                state="created",
                image=instance.image.reference,
                image_identity=instance.image.identity,
                anonymous_volumes=self._host.volumes.anonymous(serial, mounts),
                ports=host_ports,
                created_at=datetime.now(UTC),
                reason=labels.get(identity.REASON, ""),
                run=labels.get(identity.RUN, ""),
            )
            container = FakeContainer(found, labels, body, self._host.script_of(instance))
            first = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
            for network, end in first.items():
                self.attach(container, network, end.get("IPAMConfig", {}).get("IPv4Address"))
            self._host.by_name[instance.name] = container
            self._host.tell("create", container)
            return container

    def attach(self, container: FakeContainer, network: str, address: str | None) -> None:
        if address and address in self._host.networks.used_addresses(network):
            raise DaemonError(f"address {address} on {network} is in use")
        container.attached.append(network)
        if address:
            container.change(addresses={**container.found.addresses, network: address})

    def rename(self, container: str, name: str) -> None:
        self._host.answer()
        there = next((c for c in self._host.by_name.values() if container in (c.found.id, c.found.name)), None)
        if there is None or there.found.name == name:
            return
        if name in self._host.by_name or any(foreign.name == name for foreign in self._host.foreign):
            raise DaemonError(f"the container name {name} is already in use")
        with self._host.effect(f"rename {there.found.name}"):
            self._host.by_name[name] = self._host.by_name.pop(there.found.name)
            there.change(name=name)

    def start(self, container: str) -> None:
        there = self.get(container)
        if there.found.state == "running":
            return
        wanted = {port for _, port in self.published(there)}
        if wanted & self._host.taken_ports:
            raise PortTaken(f"port {min(wanted & self._host.taken_ports)} is already allocated")
        with self._host.effect(f"start {there.found.name}"):
            checked = there.body.get("Healthcheck", {}).get("Test", ["NONE"])[0] != "NONE"
            there.change(
                state="running",
                started_at=datetime.now(UTC),
                health="starting" if checked else "none",
                exit_code=None,
                restarts=0,
            )
            self._host.tell("start", there)
            if there.script.exits is not None:
                self._end(there, there.script.exits)

    def _end(self, there: FakeContainer, code: int) -> None:
        """A process that ends at once; one that is restarted without end is seen after its third crash."""
        self._host.tell("die", there, code)
        if there.is_restarted_after(code):
            there.change(state="restarting", exit_code=code, restarts=3)
        else:
            there.change(state="exited", exit_code=code, health="none")

    def published(self, there: FakeContainer) -> set[tuple[Literal["tcp", "udp"], int]]:
        """Protocol and host port of what Docker publishes for it."""
        return {
            ("udp" if key.endswith("/udp") else "tcp", int(end["HostPort"]))
            for key, ends in there.body["HostConfig"]["PortBindings"].items()
            for end in ends
            if end["HostPort"].isdigit()
        }

    def stop(self, container: str, grace_s: float | None = None) -> None:
        there = self._find(container)
        if there is None or there.found.state not in ("running", "restarting", "paused"):
            return
        with self._host.effect(f"stop {there.found.name}"):
            there.change(state="exited", exit_code=_TERMINATED, health="none")
            self._host.tell("die", there, _TERMINATED)

    def remove(self, container: str, *, anonymous_volumes: bool = False) -> None:
        there = self._find(container)
        if there is None:
            return
        with self._host.effect(f"remove {there.found.name}"):
            del self._host.by_name[there.found.name]
            self._host.tell("destroy", there)
            if anonymous_volumes:
                self._host.volumes.drop(set(there.found.anonymous_volumes.values()))

    def look(self, container: str) -> FoundInstance | None:
        there = self._find(container)
        return None if there is None else there.found

    def health_check(self, container: str) -> dict[str, Any]:
        there = self._find(container)
        return {} if there is None else dict(there.body.get("Healthcheck", {}))

    def exec_probe(self, container: str, argv: Sequence[str], timeout_s: float) -> tuple[int, str]:
        there = self.get(container)
        if there.found.state != "running":
            raise DaemonError(f"{there.found.name} is not running")
        there.probes.append(tuple(argv))
        if there.script.never_healthy:
            return 1, "scripted never to be healthy"
        words = " ".join(argv)
        asked = _EXITS.search(words)
        code = int(asked[1]) if asked else int(argv[0] == "false")
        said = re.search(r"echo (\w+)", words)
        if code == 0 and there.found.health == "starting":
            there.change(health="healthy")
        return code, f"{said[1]}\n" if said else ""

    def logs(self, container: str, tail: int) -> bytes:
        if any(container in (foreign.id, foreign.name) for foreign in self._host.foreign):
            return b""
        lines = self.get(container).script.output.encode().splitlines(keepends=True)
        return b"".join(lines[len(lines) - tail :] if tail < len(lines) else lines)

    def wait_exit(self, container: str, timeout_s: float, cancelled: threading.Event | None = None) -> int:
        stop, deadline = cancelled or threading.Event(), time.monotonic() + timeout_s
        while True:
            there = self._find(container)
            if there is None:
                raise DaemonError(f"{container} was removed before it ended")
            if there.found.exit_code is not None:
                return there.found.exit_code
            if time.monotonic() >= deadline:
                raise DaemonError(f"{there.found.label} has not ended after {timeout_s:g} s")
            if stop.wait(0.01):
                raise Cancelled(f"the wait for the end of {there.found.label} was cancelled")

    def _find(self, container: str) -> FakeContainer | None:
        self._host.answer()
        everyone = self._host.by_name.items()
        return next((there for name, there in everyone if container in (name, there.found.id)), None)

    def get(self, container: str) -> FakeContainer:
        there = self._find(container)
        if there is None:
            raise DaemonError(f"no such container: {container}")
        return there
