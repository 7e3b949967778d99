"""A host of a test's own, made of namespaces: its PID 1, network, /run, cgroups and dockerd are its own.

Its disk is a directory, which a power cut leaves as it is; what was on its tmpfs, mounted or listening is gone with its
PID 1. Programs come from the machine it runs on. Needs root.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from stampede.programs import Finished, run

NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
CGROUPS = Path("/sys/fs/cgroup")
UP_WITHIN_S = 30.0

# $1 is the disk. Foreign mounts are dropped, or this host would keep other people's file systems busy.
_INIT = r"""
set -eu
mount --make-rprivate /
awk '{print $5}' /proc/self/mountinfo | tac | while IFS= read -r m; do
  m=$(printf '%b' "$m")
  case "$m/" in //|/proc/*|/dev/*) continue;; esac
  umount -l "$m" 2>/dev/null || true
done
for dir in /var/lib/docker /etc/docker; do mkdir -p "$1$dir" "$dir"; mount --bind "$1$dir" "$dir"; done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
if grep -q cgroup2 /proc/filesystems && [ "$2" = v2 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  for c in $(awk '$1 !~ /^#/ && $4 == 1 && $2 != 0 {print $1}' /proc/cgroups); do
    mkdir -p /sys/fs/cgroup/$c
    mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c 2>/dev/null || rmdir /sys/fs/cgroup/$c
  done
fi
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
touch /run/host-is-up
while :; do sleep 3600 & wait $!; done  # and bash reaps what has lost its parent
"""


@dataclass
class LabHost:
    """A host whose disk is below `disk`. `boot` and `cut_power` may be called as often as one likes."""

    disk: Path
    name: str = field(default_factory=lambda: f"st-lab-{secrets.token_hex(3)}")
    pid: int = 0
    _launched: subprocess.Popen[bytes] | None = None
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def boot(self) -> None:
        """Afterwards its PID 1 runs, and nothing else."""
        self._power_on()
        deadline = time.monotonic() + UP_WITHIN_S
        while not Path(f"/proc/{self.pid}/root/run/host-is-up").exists():
            assert time.monotonic() < deadline, "the host did not come up"
            self._must_be_on()
            time.sleep(0.05)

    def _power_on(self) -> None:
        self._begin(_INIT, "v2" if (CGROUPS / "cgroup.controllers").exists() else "v1")

    def _begin(self, script: str, *words: str) -> None:
        """Afterwards PID 1 of new namespaces runs the script, with the disk and `words` as its arguments."""
        self.disk.mkdir(parents=True, exist_ok=True)
        argv = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
        self._launched = subprocess.Popen(
            [*argv, "bash", "-c", script, "init", str(self.disk), *words],
            preexec_fn=self._enter_cgroups,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        while not self.pid:
            self._must_be_on()
            time.sleep(0.02)
            self.pid = _child_of(self._launched.pid)

    def _must_be_on(self) -> None:
        assert self._launched is not None
        assert self._launched.poll() is None, "PID 1 of the host ended"

    def cut_power(self) -> None:
        """Afterwards every process of it is gone, with its mounts, interfaces and memory."""
        if self._launched is None:
            return
        self._launched.kill()  # nothing to do for one that was shut down
        self._launched.wait()
        deadline = time.monotonic() + UP_WITHIN_S
        while Path(f"/proc/{self.pid}").exists():
            assert time.monotonic() < deadline, "PID 1 of the host is still there"
            time.sleep(0.05)
        for program in self._started:
            program.wait(UP_WITHIN_S)
        self._launched, self.pid, self._started = None, 0, []

    def remove(self) -> None:
        """Afterwards nothing of it is left but its disk."""
        self.cut_power()
        for folder in self._cgroups():
            for inner in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                inner.rmdir()
            folder.rmdir()

    def run(
        self, argv: Sequence[str | Path], env: Mapping[str, str], *, check: bool = True, timeout_s: float = 120.0
    ) -> Finished:
        """Run a program inside, to its end."""
        return run([*self._inside, *argv], env=env, check=check, timeout_s=timeout_s)

    def start(self, argv: Sequence[str | Path], env: Mapping[str, str]) -> None:
        """Start a program inside, which runs until it ends by itself or the power is cut."""
        log = (self.disk / f"{Path(argv[0]).name}.log").open("ab")
        words = [str(word) for word in (*self._inside, *argv)]
        with log:
            self._started.append(
                subprocess.Popen(
                    words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            )

    @contextmanager
    def docker(self) -> Iterator[docker.DockerClient]:
        """The SDK's client of the dockerd inside, once that answers."""
        socket = Path(f"/proc/{self.pid}/root/run/docker.sock")
        deadline = time.monotonic() + UP_WITHIN_S
        while not socket.exists():
            assert time.monotonic() < deadline, (self.disk / "dockerd.log").read_text()[-3000:]
            time.sleep(0.1)
        with closing(docker.DockerClient(base_url=f"unix://{socket}", version="1.41", timeout=60)) as client:
            while not _answers(client):
                assert time.monotonic() < deadline, (self.disk / "dockerd.log").read_text()[-3000:]
                time.sleep(0.1)
            yield client

    @property
    def _inside(self) -> tuple[str, ...]:
        return ("nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--")

    def _cgroups(self) -> list[Path]:
        """This host's group in every hierarchy of the machine."""
        if (CGROUPS / "cgroup.controllers").exists():
            roots = [CGROUPS]
        else:
            roots = [path for path in CGROUPS.iterdir() if (path / "cgroup.procs").exists()]
        return [root / self.name for root in roots if (root / self.name).is_dir() or not self.pid]

    def _enter_cgroups(self) -> None:
        """In the child: its cgroup namespace is rooted in groups of its own."""
        for folder in self._cgroups():
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (folder / name).exists() and not (folder / name).read_text().strip():
                    (folder / name).write_text((folder.parent / name).read_text())
            (folder / "cgroup.procs").write_text(str(os.getpid()))


def _answers(client: docker.DockerClient) -> bool:
    try:
        return bool(client.ping())
    except (DockerException, RequestException):
        return False


def _child_of(pid: int) -> int:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0
    return int(children[0]) if children else 0
