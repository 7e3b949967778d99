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


def unpacked_from(suite: str, package: str, version: str) -> Path:
    """The same for a package of another suite of Debian, in this version, from the mirror that this machine uses."""

    def make(directory: Path) -> None:
        lists = directory / "lists"
        (lists / "partial").mkdir(parents=True)
        sources = directory / "sources.list"
        sources.write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main\n")
        apt = ["apt-get", "-qq", "-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"]
        apt += ["-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={directory}", "-o", "APT::Sandbox::User=root"]
        run([*apt, "update"], timeout_s=300)
        run([*apt, "download", f"{package}={version}"], cwd=directory, timeout_s=300)
        (deb,) = directory.glob("*.deb")
        run(["dpkg", "-x", deb, directory])
        for used in (deb, sources, *directory.glob("*.bin")):
            used.unlink()
        shutil.rmtree(lists)

    return cached(f"package-{package}-{version}", make)


_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _mirror() -> str:
    """Where this machine gets Debian's packages from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    return run(asked).out.split()[0]
