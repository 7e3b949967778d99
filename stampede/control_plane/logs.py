"""Log files of background services, bounded in size: `name.log` and one older `name.log.1`.

Services append to their file themselves, so that they outlive the supervisor. Rotating copies and truncates: lines that
are written in that moment can be lost, the file that the service has open stays the right one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024


def open_log(path: Path) -> int:
    """A descriptor that appends to the log; the file is readable by its owner only."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def rotate(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Afterwards no log in the folder is larger than `max_bytes`."""
    for path in folder.glob("*.log"):
        if path.stat().st_size > max_bytes:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)


def last_lines(path: Path, lines: int = 20) -> str:
    """The end of a log, for error messages; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
