"""The daemons of the host that a task runs on. One place to replace them by fakes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property

from stampede.blocks.docker import Docker, DockerHost
from stampede.blocks.haproxy import Balancer, HAProxy
from stampede.blocks.volumes import ImagePool
from stampede.blocks.volumes.contract import VolumePool
from stampede.places import HOST_VARIABLE, Places
from stampede.volumes.settings import pool_settings


@dataclass(frozen=True)
class ThisHost:
    """Name of this host and of its cluster, its files, and its daemons."""

    name: str
    cluster: str
    places: Places
    docker: Docker
    haproxy: Balancer
    pool: VolumePool


class _Current:
    """Daemons as the environment says, made at first use; or what a test put in their place."""

    def __init__(self) -> None:
        self._replaced: ThisHost | None = None

    @cached_property
    def _of_environment(self) -> ThisHost:
        places = Places.of_environment()
        name = os.environ.get(HOST_VARIABLE) or socket.gethostname()
        return ThisHost(
            name=name,
            cluster=places.cluster,
            places=places,
            docker=DockerHost(),
            haproxy=HAProxy(places),
            pool=ImagePool(places, name, pool_settings(os.environ)),
        )

    def get(self) -> ThisHost:
        return self._replaced or self._of_environment

    @contextmanager
    def replaced_by(self, other: ThisHost) -> Iterator[None]:
        before, self._replaced = self._replaced, other
        try:
            yield
        finally:
            self._replaced = before


_current = _Current()


def this_host() -> ThisHost:
    """The host this process works for."""
    return _current.get()


def instead_of_this_host(other: ThisHost) -> AbstractContextManager[None]:
    """Inside the `with`, tasks of this process work on `other`: how tests put fakes in place of daemons."""
    return _current.replaced_by(other)
