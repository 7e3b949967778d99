"""A process that is killed just before its n-th side effect, so that what comes after it can be looked at.

What counts as one is what the interpreter reports to audit hooks (PEP 578): files opened for writing, directories made,
renames, removals, ioctls, programs started. So no code has to know that it is being killed.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

_ALWAYS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "fcntl.ioctl", "subprocess.Popen"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_FAILED = 77


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Does `work` in a process of its own, killed by SIGKILL before its side effect number `step`, from 1.

    False if it came to its end before that. An exception in it fails the test.
    """
    child = os.fork()
    if child == 0:
        _work_until(step, work)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed before it was killed; its traceback is on stderr"
    return False


def _work_until(step: int, work: Callable[[], object]) -> None:
    seen = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in _ALWAYS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(_FAILED)
    os._exit(0)
