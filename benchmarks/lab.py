"""What scenarios share. It is made at first use, and taken away when the benchmarks end."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import docker

from benchmarks.backups.server import Server, running_server
from benchmarks.installation import Installation, own_installation
from benchmarks.measure import say
from benchmarks.peers.compose import Compose
from benchmarks.peers.raw_api import RawApi
from benchmarks.peers.stampede import Stampede
from benchmarks.peers.swarm import Swarm
from benchmarks.throwaway import Throwaway, throwaway_dockerd
from tests.lab.images import ensure_busybox


class Lab:
    """The contenders, and where they work. `percent` makes every scenario smaller, to try it out."""

    def __init__(self, exits: ExitStack, percent: int) -> None:
        self._exits, self._percent = exits, percent
        self.folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))  # sockets need a short path
        exits.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.daemon = docker.from_env(timeout=120)
        exits.callback(self.daemon.close)
        ensure_busybox(self.daemon)

    def size(self, whole: int) -> int:
        """How many containers instead of `whole`."""
        return max(2, whole * self._percent // 100)

    def be_ready(self) -> None:
        """Afterwards every contender has started, so that no start is timed."""
        _ = self.stampede, self.raw_api, self.compose, self.swarm

    @cached_property
    def installation(self) -> Installation:
        say("  starting a control plane of our own")
        return self._exits.enter_context(own_installation(self.folder / "own"))

    @cached_property
    def throwaway(self) -> Throwaway:
        say("  starting a dockerd to throw away, for the swarm")
        return self._exits.enter_context(throwaway_dockerd(self.folder / "swarm"))

    @cached_property
    def object_server(self) -> Server:
        say("  starting an S3 server of our own")
        return self._exits.enter_context(running_server(self.folder / "store"))

    @cached_property
    def stampede(self) -> Stampede:
        return Stampede(self.installation, self.folder / "stacks")

    @cached_property
    def raw_api(self) -> RawApi:
        return self._exits.enter_context(RawApi())

    @cached_property
    def compose(self) -> Compose:
        return Compose(self.folder / "stacks")

    @cached_property
    def swarm(self) -> Swarm:
        return Swarm(self.throwaway, self.folder / "stacks")
