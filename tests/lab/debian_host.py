"""A host of a test's own whose system is a tree of Debian packages, unpacked once and cached. Needs root.

What it writes goes to its disk. The checkout and the Python that runs the tests are there read-only, under the paths
that they have outside.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stampede.programs import run
from tests.lab.debian import cached
from tests.lab.host import LabHost

CHECKOUT = Path(__file__).resolve().parents[2]

# $1 is the disk, $2 the tree, $3 what PID 1 runs at last, the rest is bound read-only. Kernel settings that are not of
# this network are read-only, as systemd-nspawn(1) has them. Foreign mounts stay behind with the old root.
_INIT = r"""
set -eu
disk=$1 tree=$2 pid1=$3; shift 3
mount --make-rprivate /
mkdir -p "$disk/upper" "$disk/work" "$disk/root" "$disk/docker"
mount -t overlay -o "lowerdir=$tree,upperdir=$disk/upper,workdir=$disk/work" overlay "$disk/root"
cd "$disk/root"
mkdir -p .old var/lib/docker etc/docker
mount --bind "$disk/docker" var/lib/docker
for shared in "$@"; do
  mkdir -p ".$shared"
  mount --bind "$shared" ".$shared"
  mount -o remount,bind,ro ".$shared"
done
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,mode=620,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for number in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${number%:*} dev/${number#*:}; done
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t sysfs sysfs sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  for c in $(awk '$1 !~ /^#/ && $4 == 1 && $2 != 0 {print $1}' /proc/cgroups); do
    mkdir sys/fs/cgroup/$c
    mount -t cgroup -o $c cgroup sys/fs/cgroup/$c 2>/dev/null || rmdir sys/fs/cgroup/$c
  done
  mkdir sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
pivot_root . .old
umount -l /.old
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "$pid1"
"""
_NOTHING = "ip link set lo up; touch /run/host-is-up; while :; do sleep 3600 & wait $!; done"


@dataclass
class DebianHost(LabHost):
    """A host with a newer Docker than this machine's. Below it, those with another system."""

    suite: ClassVar[str] = "trixie"
    packages: ClassVar[tuple[str, ...]] = ("docker.io", "iptables", "iproute2", "procps")
    prepared: ClassVar[tuple[str, ...]] = ()
    """Shell commands that finish the tree, which is $1."""
    pid_1: ClassVar[str] = _NOTHING

    def _power_on(self) -> None:
        shared = sorted({str(CHECKOUT), *([] if sys.base_prefix == "/usr" else [sys.base_prefix])})
        self._begin(_INIT, str(self.tree()), self.pid_1, *shared)

    @classmethod
    def tree(cls) -> Path:
        """The unpacked packages, which mmdebstrap makes in a minute or two when they are not there."""
        made_from = repr((cls.suite, cls.packages, cls.prepared)).encode()
        hooks = [f"--customize-hook={hook}" for hook in cls.prepared]
        leave = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale")]
        options = ["--quiet", "--variant=minbase", f"--include={','.join(cls.packages)}", *leave, *hooks]
        return cached(
            f"{cls.suite}-{hashlib.sha256(made_from).hexdigest()[:12]}",
            lambda tree: run(["mmdebstrap", *options, cls.suite, tree], timeout_s=600),
        )


@contextmanager
def host_with_newer_docker() -> Iterator[DebianHost]:
    """A host that has booted, with its dockerd started. Afterwards nothing of it is left."""
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp"))
    own = DebianHost(root / "disk")
    try:
        own.boot()
        own.start(["dockerd"], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        yield own
    finally:
        own.remove()
        shutil.rmtree(root)
