"""Freezes file systems and thaws them again, whatever happens: a program of its own, run by freezing.py.

    python -I -S freezer.py SECONDS MOUNT...

Prints `frozen` when all are, and at its end for how many seconds the first of them was. It holds them until its stdin
ends, it gets SIGTERM, or SECONDS have passed since it started. Whoever dies while a file system is frozen leaves every
writer hanging, unkillably; so this one has next to nothing to die of: no imports but the interpreter's own, and it
watches its clock while it still freezes. Freezing takes the kernel some 30 ms, so all are frozen side by side. One
process at a time has a mount: a later one waits until an earlier one is gone, which might thaw it otherwise.

Exit code 0: thawed because it was told to. 3: time was up. 4: something cannot be frozen; said on stderr. 5: somebody
else has thawed one of them before.
"""

import _thread
import errno
import fcntl
import os
import select
import signal
import sys
import time

_FREEZE, _THAW = 0xC0045877, 0xC0045878
TOLD, TIME_UP, CANNOT, BROKEN = 0, 3, 4, 5


class _Barrier:
    """File systems that are frozen together: a thread for each, since freezing can block, and one that watches."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.over = self.broken = False
        self.refused = ""
        self._turn = _thread.allocate_lock()
        self._frozen: list[int] = []

    def freeze(self, mounts: dict[str, int]) -> bool:
        """Freezes all of them, open as descriptors; False if they are thawed by now, or one could not be frozen."""
        self.began = time.monotonic()
        ends = []
        for mount, descriptor in mounts.items():
            end = _thread.allocate_lock()
            end.acquire()
            ends.append(end)
            _thread.start_new_thread(self._add, (mount, descriptor, end))
        for end in ends:
            end.acquire()
        return not self.over and not self.refused

    def _add(self, mount: str, descriptor: int, end: "_thread.LockType") -> None:
        try:
            fcntl.ioctl(descriptor, _FREEZE, 0)
        except OSError as error:
            self.refused = f"{mount}: {error.strerror}"
        else:
            with self._turn:
                self._frozen.append(descriptor)
            if self.over:
                self.thaw()
        end.release()

    def thaw(self) -> None:
        """Afterwards none of them is frozen, and none that is added later stays so."""
        self.over = True
        with self._turn:
            while self._frozen:
                try:
                    fcntl.ioctl(self._frozen.pop(), _THAW, 0)
                except OSError as error:
                    self.broken = True
                    if error.errno != errno.EINVAL:  # it was not frozen any more
                        sys.stderr.write(f"thaw: {error}\n")
            self.ended = self.ended or time.monotonic()


def _watch(barrier: _Barrier, seconds: float, wakeup: int, done: "_thread.LockType", code: list[int]) -> None:
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(wakeup, select.POLLIN)
    ready = poll.poll(seconds * 1000)
    barrier.thaw()
    code[0] = TOLD if ready else TIME_UP
    done.release()


def _claimed(mounts: list[str]) -> dict[str, int]:
    """The mounts as descriptors that no other freezer has; in order, so that two never wait for each other."""
    claimed = {mount: os.open(mount, os.O_RDONLY) for mount in sorted(set(mounts))}
    for descriptor in claimed.values():
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return claimed


def _say(line: bytes) -> bool:
    """False when nobody is there to hear it."""
    try:
        os.write(1, line)
    except OSError:
        return False
    return True


def main() -> int:
    seconds, mounts = float(sys.argv[1]), sys.argv[2:]
    wakeup, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)  # SIGTERM reaches the watching thread even while this one is in the kernel
    signal.signal(signal.SIGTERM, lambda *_: None)
    barrier, code, done = _Barrier(), [TIME_UP], _thread.allocate_lock()
    done.acquire()
    _thread.start_new_thread(_watch, (barrier, seconds, wakeup, done, code))
    try:
        frozen = barrier.freeze(_claimed(mounts))
    except OSError as error:
        barrier.refused, frozen = f"{error.filename}: {error.strerror}", False
    if not frozen or not _say(b"frozen\n"):
        barrier.thaw()
    if barrier.refused:
        sys.stderr.write(barrier.refused + "\n")
        return CANNOT
    if not frozen:
        return TIME_UP
    done.acquire()
    barrier.thaw()
    _say(b"%.6f\n" % (barrier.ended - barrier.began))
    return BROKEN if barrier.broken and code[0] == TOLD else code[0]


if __name__ == "__main__":
    os._exit(main())  # without the clean-up of an interpreter, which waits for nothing here
