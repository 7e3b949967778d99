"""Containers of ours on a Docker daemon. The promises are in contract.Containers."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from stampede.blocks.docker.client import Client, daemon_errors
from stampede.blocks.docker.events import first_exit_code
from stampede.blocks.docker.exec_session import ExecSession
from stampede.blocks.docker.reading import instance_of_inspect, is_anonymous
from stampede.containers.create_body import create_body
from stampede.containers.networking import endpoint, networks_of_create, ordered_networks
from stampede.errors import Cancelled, DaemonError, Foreign, ImageMissing
from stampede.planning import identity
from stampede.planning.found import FoundInstance
from stampede.planning.instances import Instance

TIMED_OUT = 124
_OUTPUT_KEPT = 64 * 1024
_WAIT_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)


class DockerContainers:
    """See contract.Containers."""

    def __init__(self, client: Client) -> None:
        self._client = client

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
        there = self._inspect(instance.name)
        if there is None:
            body = create_body(
                instance,
                addresses=addresses,
                files_dir=files_dir,
                labels=labels,
                host_ports=host_ports,
                anonymous_volumes=anonymous_volumes,
                container_of_service=container_of_service,
                traits=self._client.traits,
            )
            container, attached = self._create(instance, body), networks_of_create(instance, self._client.traits)
        else:
            self._check_same(there, instance, labels)
            container, attached = there["Id"], list(there["NetworkSettings"]["Networks"])
        for network in ordered_networks(instance):
            if network not in attached:
                self._connect(
                    container, network, endpoint(instance, network, addresses.get(network), self._client.traits)
                )
        return container

    def _create(self, instance: Instance, body: dict[str, Any]) -> str:
        with daemon_errors(f"create {instance.name}"):
            try:
                made = self._client.api.create_container_from_config(body, instance.name, instance.spec.platform)
            except ImageNotFound as error:
                raise ImageMissing(
                    f"the image of {instance.label} ({instance.image.reference}) is not on this host any more",
                    "run `stampede up` again to pull or build it",
                ) from error
        return str(made["Id"])

    def _check_same(self, there: dict[str, Any], instance: Instance, labels: Mapping[str, str]) -> None:
        """Raises unless the container that has the name was made from the same spec by the same cluster."""
        found = there["Config"]["Labels"] or {}
        if found.get(identity.CLUSTER) != labels[identity.CLUSTER] or found.get(identity.STACK) != instance.stack:
            raise Foreign(
                f"a container named {instance.name} exists already and is not of stack {instance.stack}",
                f"it is left alone: rename or remove it (docker rm {instance.name}), or change container_name",
            )
        if found.get(identity.SPEC_HASH) != instance.spec_hash:
            raise DaemonError(
                f"{instance.name} still stands with another spec", "it has to be removed before it is made anew"
            )

    def _connect(self, container: str, network: str, config: dict[str, Any]) -> None:
        """The endpoint as the API takes it, which the SDK's own method cannot say in full."""
        api = self._client.api
        with daemon_errors(f"connect {container[:12]} to {network}"):
            url = api._url("/networks/{0}/connect", network)
            api._raise_for_status(api._post_json(url, {"Container": container, "EndpointConfig": config}))

    def start(self, container: str) -> None:
        with daemon_errors(f"start {container[:12]}"):
            try:
                self._client.api.start(container)
            except APIError:
                said = self._inspect(container)
                if said is None or not said["State"]["Paused"]:
                    raise
                self._client.api.unpause(container)  # Docker refuses to start what is paused

    def stop(self, container: str, grace_s: float | None = None) -> None:
        said = self._inspect(container)
        if said is None or said["State"]["Status"] in ("created", "exited", "dead"):
            return
        grace = grace_s if grace_s is not None else said["Config"].get("StopTimeout")
        with daemon_errors(f"stop {container[:12]}"):
            try:
                self._client.api.stop(container, timeout=10 if grace is None else max(0, round(grace)))
            except NotFound:
                return

    def remove(self, container: str, *, anonymous_volumes: bool = False) -> None:
        said = self._inspect(container)
        if said is None:
            return
        with daemon_errors(f"remove {container[:12]}"):
            try:
                self._client.api.remove_container(said["Id"], force=True)
            except NotFound:
                pass
            except APIError as error:
                if "already in progress" not in str(error.explanation):
                    raise
                self._wait_gone(said["Id"])
        if anonymous_volumes:
            self._remove_anonymous(said["Mounts"])

    def _wait_gone(self, container: str) -> None:
        for _ in range(100):
            if self._inspect(container) is None:
                return
            time.sleep(0.1)
        raise DaemonError(f"{container[:12]} is being removed, but still there after 10 s")

    def _remove_anonymous(self, mounts: list[dict[str, Any]]) -> None:
        """Docker's own way (`v=true`) would forget those that were taken over from a predecessor."""
        for mount in mounts:
            if mount["Type"] != "volume" or not is_anonymous(mount["Name"]):
                continue
            with daemon_errors(f"remove volume {mount['Name'][:12]}"):
                try:
                    self._client.api.remove_volume(mount["Name"])
                except APIError as error:
                    if error.status_code not in (404, 409):
                        raise

    def rename(self, container: str, name: str) -> None:
        said = self._inspect(container)
        if said is None or str(said["Name"]).lstrip("/") == name:
            return
        with daemon_errors(f"rename {container[:12]} to {name}"):
            self._client.api.rename(said["Id"], name)

    def look(self, container: str) -> FoundInstance | None:
        said = self._inspect(container)
        if said is None or identity.SPEC_HASH not in (said["Config"]["Labels"] or {}):
            return None
        return instance_of_inspect(said, host="")

    def health_check(self, container: str) -> dict[str, Any]:
        said = self._inspect(container)
        return {} if said is None else said["Config"].get("Healthcheck") or {}

    def exec_probe(self, container: str, argv: Sequence[str], timeout_s: float) -> tuple[int, str]:
        session = self.exec(container, argv)
        try:
            output = session.tail(_OUTPUT_KEPT, timeout_s)
            if output is None:
                return TIMED_OUT, f"did not end within {timeout_s:g} s"
            code = session.wait_exit_code()
        finally:
            session.close()
        return TIMED_OUT if code is None else code, output.decode(errors="replace")

    def exec(self, container: str, argv: Sequence[str]) -> ExecSession:
        """A command that now runs inside, without input and terminal."""
        api = self._client.api
        with daemon_errors(f"run {argv[0]} in {container[:12]}"):
            made = api.exec_create(container, list(argv))
            stream = api.exec_start(made["Id"], socket=True)
        return ExecSession(self._client, made["Id"], stream)

    def logs(self, container: str, tail: int) -> bytes:
        with daemon_errors(f"read the logs of {container[:12]}"):
            said: bytes = self._client.api.logs(container, tail=tail)
        return said

    def wait_exit(self, container: str, timeout_s: float, cancelled: threading.Event | None = None) -> int:
        stop = cancelled or threading.Event()
        deadline, pauses = time.monotonic() + timeout_s, iter(_WAIT_PAUSES_S)
        while True:
            found = self.look(container)
            if found is None:
                raise DaemonError(f"{container[:12]} was removed before it ended")
            if found.restarts and found.started_at:
                code = first_exit_code(self._client, container, found.created_at)
                return code if code is not None else found.exit_code or 1
            if found.exit_code is not None:
                return found.exit_code
            if time.monotonic() >= deadline:
                raise DaemonError(f"{found.label} has not ended after {timeout_s:g} s")
            if stop.wait(next(pauses, _WAIT_PAUSES_S[-1])):
                raise Cancelled(f"the wait for the end of {found.label} was cancelled")

    def _inspect(self, container: str) -> dict[str, Any] | None:
        with daemon_errors(f"look at {container[:40]}"):
            try:
                return dict(self._client.api.inspect_container(container))
            except NotFound:
                return None
