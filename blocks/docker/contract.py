"""What Stampede asks of Docker, and what is promised. DockerHost and the tests' FakeDockerHost both keep it.

Every verb blocks; tasks call it from a thread. Whatever the daemon says arrives as one of ours: DaemonUnavailable
(worth a retry), ImageMissing, RegistryUnreachable, PortTaken, Foreign, DaemonError.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from stampede.blocks.docker.events import Event
from stampede.containers.traits import Traits
from stampede.planning.adoption import ComposeProject
from stampede.planning.found import FoundHost, FoundInstance, FoundNetwork, FoundVolume
from stampede.planning.instances import Image, Instance
from stampede.stackfile.models import Build, Network, Volume

Progress = Callable[[str], None]


class Containers(Protocol):
    """Containers of ours. Ids are Docker's; a name is taken wherever an id is."""

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
        """Afterwards a container of this name and spec hash exists, on all its networks, not necessarily started.

        One that is there already is returned as it is. Arguments as in `create_body`. Raises: Foreign when the name
        is somebody else's, DaemonError when it is that of another spec of ours, ImageMissing when it was not kept.
        """
        ...

    def start(self, container: str) -> None:
        """Afterwards it runs; a no-op if it does. Raises: PortTaken, DaemonError if it is gone or cannot start."""
        ...

    def stop(self, container: str, grace_s: float | None = None) -> None:
        """Afterwards it does not run and will not be restarted; a no-op when it does not run or is gone.

        It has `grace_s` seconds (its own stop_grace_period if None) between its stop signal and SIGKILL.
        """
        ...

    def remove(self, container: str, *, anonymous_volumes: bool = False) -> None:
        """Afterwards it is gone, running or not; a no-op if it was.

        Its anonymous volumes go as well when asked for, except those that another container uses.
        """
        ...

    def rename(self, container: str, name: str) -> None:
        """Afterwards it is called so; a no-op when it is, or is gone. Raises: DaemonError when the name is taken."""
        ...

    def look(self, container: str) -> FoundInstance | None:
        """What it is like now, or None if there is no such container of ours."""
        ...

    def exec_probe(self, container: str, argv: Sequence[str], timeout_s: float) -> tuple[int, str]:
        """Exit code and the end of the output of a command run inside; code 124 if it did not end in time.

        Raises: DaemonError when the container does not run.
        """
        ...

    def logs(self, container: str, tail: int) -> bytes:
        """The last `tail` lines of its output, stdout and stderr as they were written."""
        ...

    def wait_exit(self, container: str, timeout_s: float, cancelled: threading.Event | None = None) -> int:
        """The exit code of the first end of its main process since it was started by us.

        Raises: DaemonError if it has not ended after `timeout_s`, or is gone; Cancelled soon after `cancelled` is set.
        """
        ...

    def health_check(self, container: str) -> dict[str, Any]:
        """Its health check as Docker has it (Config.Healthcheck: from the file, else the image), {} for none."""
        ...


class Images(Protocol):
    """Images, and the tags `stampede.local/…` that keep those our revisions need."""

    def resolve(
        self,
        reference: str,
        *,
        pull_policy: str | None = None,
        platform: str | None = None,
        credentials: Mapping[str, tuple[str, str]] | None = None,
        progress: Progress | None = None,
    ) -> Image:
        """Afterwards the image is on this host, as fresh as the policy says; its identity is returned.

        If its registry has it, the pin is returned as well, and is itself a reference that can be resolved.

        `pull_policy` is Compose's: always, missing (the default), never, build, daily, weekly, every_<duration>.
        `credentials` maps registries to user and password. Raises: ImageMissing, RegistryUnreachable, DaemonError.
        """
        ...

    def build(self, build: Build, tag: str, *, progress: Progress | None = None) -> Image:
        """Afterwards `tag` is what was built; lines of the build go to `progress`.

        Raises: DaemonError naming the step that failed.
        """
        ...

    def keep(self, image: Image, stack: str, service: str) -> str:
        """Afterwards our tag for this identity (image_names.kept_tag) names the image. Returns the tag.

        Raises: ImageMissing when the reference is gone, or is another image by now, and the tag is not there either.
        """
        ...

    def kept(self) -> tuple[str, ...]:
        """All our tags on this daemon, of every stack."""
        ...

    def prune(self, tags: Collection[str]) -> tuple[str, ...]:
        """These of our tags are gone, except those that containers use; so are untagged results of our builds.

        Returns what was removed. Nothing else is touched.
        """
        ...

    def prune_cache(self, unused_for_s: float) -> int:
        """On a host where we build: cache of BuildKit that no build has used for so long is gone. Returns bytes.

        Images stay as they are, and so do layers that they share with the cache.
        """
        ...


class Networks(Protocol):
    """Networks of stacks."""

    def ensure_network(self, network: Network, *, cluster: str, stack: str, subnet: str | None = None) -> FoundNetwork:
        """Afterwards a network of that name exists: made by us (with `subnet`), there already, or external.

        A subnet in the file wins over `subnet`. Raises: Foreign if it exists and is not ours, DaemonError if it is
        external and missing, or the subnet overlaps another.
        """
        ...

    def remove_network(self, name: str, *, cluster: str) -> None:
        """Afterwards it is gone; a no-op if it was. Raises: Foreign if not ours, DaemonError while it is in use."""
        ...

    def taken_subnets(self) -> tuple[str, ...]:
        """Subnets of all networks of this daemon, ours or not, and of the host's routes."""
        ...

    def used_addresses(self, network: str) -> dict[str, str]:
        """Address to container name, of every container of ours on the network, running or not, and running others."""
        ...


class Volumes(Protocol):
    """Named volumes of stacks."""

    def ensure_volume(self, volume: Volume, *, cluster: str, stack: str, adopted: bool = False) -> FoundVolume:
        """Afterwards a volume of that name exists. With `adopted`, one that Compose made for this project is ours.

        Raises: Foreign if not ours, DaemonError if external and missing.
        """
        ...

    def remove_volume(self, name: str, *, cluster: str) -> None:
        """Afterwards it and its data are gone; a no-op if it was. Raises: Foreign, DaemonError while in use."""
        ...

    def data_of(self, name: str) -> Path | None:
        """Where the data of a volume of Docker's own lies on this host.

        None if there is no volume of that name, or if its driver or its options say where its data is.
        """
        ...

    def users_of(self, name: str) -> tuple[str, ...]:
        """Names of all containers that mount the volume, ours or not, running or not."""
        ...

    def set_apart(self, name: str, original: str, *, cluster: str, stack: str) -> None:
        """Afterwards `original` holds what the volume of Docker's own of this name did, and that one is gone.

        A no-op if it was; its data is moved, not copied. Raises: Foreign for a volume that is neither the stack's nor
        of its Compose project, DaemonError while a container mounts it, or when `original` holds something already.
        """
        ...

    def volumes(self, cluster: str, stack: str | None = None) -> tuple[FoundVolume, ...]:
        """Named volumes of ours; anonymous ones belong to their instances and are not listed."""
        ...


class Projects(Protocol):
    """What `docker compose` made of a project, recognised by its labels. Nothing else is touched."""

    def look(self, project: str) -> ComposeProject:
        """Its containers, running or not, its networks and its named volumes; all empty if there is none."""
        ...

    def set_aside(self, project: str, container: str) -> str:
        """Afterwards the container does not run, has no restart policy, and is called `<name>-before-adoption`.

        Returns that name, "" if it is gone; a no-op on one that is set aside. Raises: Foreign if not of this project.
        """
        ...

    def remove_network(self, project: str, name: str) -> None:
        """Afterwards it is gone; a no-op if it was.

        Raises: Foreign if not of this project, DaemonError while a running container is on it.
        """
        ...

    def bring_up(self, directory: Path, cancelled: threading.Event | None = None) -> None:
        """Afterwards `docker compose up -d` has been done there, with images that are on this host; twice is once.

        Raises: DaemonError with what it said, Cancelled soon after `cancelled` is set.
        """
        ...

    def take_down(self, project: str) -> None:
        """Afterwards its containers are stopped and gone, and its networks; not its volumes, nor what is set aside."""
        ...


class Docker(Protocol):
    """One Docker daemon."""

    @property
    def traits(self) -> Traits:
        """Its API version and its default log driver."""
        ...

    @property
    def projects(self) -> Projects: ...

    @property
    def containers(self) -> Containers: ...

    @property
    def images(self) -> Images: ...

    @property
    def networks(self) -> Networks: ...

    @property
    def volumes(self) -> Volumes: ...

    def found(self, host_name: str, cluster: str, stack: str | None = None, *, detail: bool = False) -> FoundHost:
        """What is there: ours by labels (of one stack, or all), and every other container, which is foreign.

        `other_networks` and `other_volumes` name all the rest, whoever made them. `taken` are the host ports that
        Docker publishes for containers, of whomever they are.
        `started_at` and `restarts` are read only with `detail`, which costs one request per container.
        """
        ...

    def events(self, cluster: str, since: datetime | None = None) -> Iterator[Event]:
        """Changes of containers of ours as they happen, without end; those after `since` first.

        Raises: DaemonUnavailable when the daemon goes away, even in mid-stream.
        """
        ...

    def ping(self) -> None:
        """Returns when the daemon answers. Raises: DaemonUnavailable."""
        ...
