"""A dockerd in namespaces of its own, with data of its own. When it is ended, its containers end with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from benchmarks.processes import run
from stampede.errors import StampedeError

INIT = Path(__file__).with_name("throwaway_init.sh")
GROUP = f"stampede-benchmarks-{os.getpid()}"
CGROUPS = Path("/sys/fs/cgroup")
UP_WITHIN_S = 60.0


@dataclass(frozen=True)
class Throwaway:
    """`pid` is the process whose namespaces it lives in, as this machine sees it."""

    folder: Path
    pid: int

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'docker.sock'}"

    def docker(self, *words: str) -> str:
        """What the docker command prints. Raises: ProgramFailed."""
        return run(["docker", "--host", self.url, *words])

    def take_image(self, name: str) -> None:
        """Afterwards it has the image of this name that this machine's daemon has."""
        archive = self.folder / "image.tar"
        run(["docker", "save", "--output", archive, name])
        self.docker("load", "--input", str(archive))
        archive.unlink()

    def inside(self, pid: int | None = None) -> list[str]:
        """Words before those of a program that is to run in its network, or in that of the process `pid`."""
        return ["nsenter", f"--net=/proc/{pid or self.pid}/ns/net"]


@contextmanager
def throwaway_dockerd(folder: Path) -> Iterator[Throwaway]:
    """It answers. Afterwards its processes, control groups and data are gone. Raises: StampedeError."""
    folder.mkdir(parents=True)
    groups = _hierarchies()
    for group in groups:
        group.mkdir()
    log = (folder / "log").open("w")
    words = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        ["bash", "-c", f'{_joining(groups)} exec unshare {" ".join(words)} "$0" "$1"', INIT, folder],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        _wait_until_it_answers(folder, process)
        yield Throwaway(folder, _first_child(process.pid))
    finally:
        process.kill()  # with unshare dies its child, which is process 1 in there, and with that everything
        process.wait()
        log.close()
        for group in groups:
            _remove_group(group)
        shutil.rmtree(folder, ignore_errors=True)


def _hierarchies() -> list[Path]:
    """A group of our own in each hierarchy of control groups (version 1), or in the one (version 2)."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS / GROUP]
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(mount[1]) / GROUP for mount in mounts if mount[2] in ("cgroup", "cgroup2")]


def _joining(groups: list[Path]) -> str:
    """Shell commands that put the shell into the groups, cpuset's needs first."""
    inherit = [f"echo 1 > {group}/cgroup.clone_children;" for group in groups if group.parent.name == "cpuset"]
    for group in groups:
        if group.parent.name == "cpuset":
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((group.parent / name).read_text())
    return " ".join([*inherit, *(f"echo $$ > {group}/cgroup.procs;" for group in groups)])


def _first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _wait_until_it_answers(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client = docker.DockerClient(f"unix://{folder / 'docker.sock'}")
            client.ping()
            client.close()
        except (DockerException, OSError):
            time.sleep(0.1)
        else:
            return
    raise StampedeError(f"the dockerd for the swarm did not start: {(folder / 'log').read_text()[-2000:]}")


def _remove_group(group: Path) -> None:
    """Groups go from the innermost outwards; the last processes may take a moment to be gone."""
    deadline = time.monotonic() + 10
    for folder, _, _ in os.walk(group, topdown=False):
        while True:
            try:
                Path(folder).rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.1)
            else:
                break
