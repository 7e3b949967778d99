"""What tests take from Debian packages without installing them: made once, kept in a cache."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stampede.programs import run

CACHE = Path(os.environ.get("STAMPEDE_LAB_CACHE", "/var/cache/stampede/lab"))


def cached(name: str, make: Callable[[Path], object]) -> Path:
    """The directory of this name, filled by `make` when it is not there; never seen half made."""
    CACHE.mkdir(parents=True, exist_ok=True)
    made = CACHE / name
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            part = made.with_name(f"{name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(made)
    return made


def unpacked(package: str) -> Path:
    """The files of a package of this machine's Debian. Nothing of it is set up, and what it depends on is not there."""

    def make(directory: Path) -> None:
        run(["apt-get", "-o", "APT::Sandbox::User=root", "download", package], cwd=directory, timeout_s=300)
        (deb,) = directory.glob("*.deb")
        run(["dpkg", "-x", deb, directory])
        deb.unlink()

    return cached(f"package-{package}", make)
