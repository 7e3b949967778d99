"""A host of a test's own whose PID 1 is systemd: Debian's, out of packages, in namespaces of its own.

Its system is a tree of Debian packages that is unpacked once and cached; what it writes goes to its disk. The checkout
and the Python that runs the tests are there read-only, under the paths that they have outside. Needs root.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from stampede.programs import run
from tests.lab.host import UP_WITHIN_S, LabHost

CACHE = Path(os.environ.get("STAMPEDE_LAB_CACHE", "/var/cache/stampede/lab"))
CHECKOUT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "docker.io", "haproxy", "iptables", "iproute2", "procps", "ca-certificates"),
    *("tini", "curl", "python3", "libreadline8"),
)
# As scripts/install leaves a machine: Debian's own haproxy does not start. And what would tune the machine's one kernel
# does not run.
_PREPARED = (
    'chroot "$1" systemctl disable haproxy docker.service',
    'chroot "$1" systemctl mask systemd-sysctl.service proc-sys-fs-binfmt_misc.automount',
    'chroot "$1" systemctl set-default multi-user.target',
)
BOOTED = ("running", "degraded")

# $1 is the disk, $2 the tree, the rest is bound read-only. Kernel settings that are not of this network are read-only,
# as systemd-nspawn(1) has them. Foreign mounts stay behind with the old root.
_INIT = r"""
set -eu
disk=$1 tree=$2; shift 2
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
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
"""


@dataclass
class SystemdHost(LabHost):
    """A host whose disk is below `disk`. `boot`, `shut_down` and `cut_power` may be called as often as one likes."""

    def boot(self) -> None:
        """Afterwards systemd has started everything that is to start at boot."""
        tree = ensure_tree()
        shared = sorted({str(CHECKOUT), *([] if sys.base_prefix == "/usr" else [sys.base_prefix])})
        self._begin(_INIT, str(tree), *shared)
        deadline = time.monotonic() + UP_WITHIN_S * 4
        while (state := self.state()) not in BOOTED:
            assert time.monotonic() < deadline, f"systemd is still {state or 'away'}: {self.log()}"
            self._must_be_on()
            time.sleep(0.2)

    def shut_down(self) -> None:
        """Afterwards it is off, after systemd has stopped everything in order."""
        assert self._launched is not None
        self.systemctl("poweroff", "--no-block")
        self._launched.wait(UP_WITHIN_S * 4)
        self.cut_power()

    def systemctl(self, *words: str, check: bool = True) -> str:
        """What systemctl prints."""
        return self.run(["systemctl", *words], {}, check=check).out.strip()

    def state(self) -> str:
        """Of the whole system: `running` when every unit is well, `degraded` when one has failed."""
        return self.systemctl("is-system-running", check=False)

    def log(self, *words: str) -> str:
        """The end of the journal."""
        return self.run(["journalctl", "--no-pager", "--lines=60", *words], {}, check=False).out


def ensure_tree() -> Path:
    """The unpacked packages, which mmdebstrap makes in about two minutes when they are not there."""
    made_from = repr((SUITE, PACKAGES, _PREPARED)).encode()
    tree = CACHE / f"systemd-{hashlib.sha256(made_from).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            part = tree.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            hooks = [f"--customize-hook={hook}" for hook in _PREPARED]
            leave = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale")]
            options = ["--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *leave, *hooks]
            run(["mmdebstrap", *options, SUITE, part], timeout_s=600)
            part.rename(tree)
    return tree
