"""What a whole process costs: seconds, seconds of processor, and the most memory it had."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stampede.errors import StampedeError

_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Usage:
    """From its start until its end was seen. `memory_mib` is the greatest RSS; `out` what it printed on stdout."""

    seconds: float
    cpu_s: float
    memory_mib: float
    out: str


def use(argv: Sequence[str | Path], *, stdin: str = "", env: Mapping[str, str] | None = None) -> Usage:
    """Run a program to its end. Raises: StampedeError when it fails, with the last it said."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(argv, stdin=given, stdout=out, stderr=err, env=env)
        with _Memory(process.pid) as memory:
            _, status, spent = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said = [_all_of(file.fileno()) for file in (out, err)]
    if process.returncode:
        raise StampedeError(f"{argv[0]} ended with {process.returncode}: {''.join(said)[-2000:]}")
    return Usage(seconds, spent.ru_utime + spent.ru_stime, memory.greatest_mib, said[0])


class _Memory:
    """The kernel's high-water mark, read now and then: rusage has that of the process that forked, too."""

    def __init__(self, pid: int) -> None:
        self._status, self._greatest_kib, self._over = Path(f"/proc/{pid}/status"), 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def greatest_mib(self) -> float:
        return self._greatest_kib / 1024

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            with suppress(OSError):
                lines = self._status.read_text().splitlines()
                self._greatest_kib = max([self._greatest_kib, *(int(e.split()[1]) for e in lines if "VmHWM" in e)])


def _all_of(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")
