"""Configs and secrets on their host: plain files in memory, and an encrypted copy of each from which a boot refills.

places.files/<stack>/<host_name>        what containers mount; on tmpfs, so that no disk ever holds it in the clear
places.host/files/<stack>/<host_name>   the same, AES-GCM under places.host/files.key, which never leaves the host
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from stampede import programs
from stampede.blocks.sealed_files import Damaged, host_key, one_at_a_time, seal, unseal, write_whole
from stampede.errors import StampedeError
from stampede.places import Places
from stampede.planning.instances import MountedFile

_IN_MEMORY = ("tmpfs", "ramfs")


def place_file(places: Places, stack: str, file: MountedFile, content: str) -> None:
    """Afterwards the host has the file with its owner and mode, and its encrypted copy. Twice is once."""
    _ensure_in_memory(places)
    inside, kept = _paths(places, stack, file.host_name)
    if not kept.exists():
        header = json.dumps({"uid": file.uid, "gid": file.gid, "mode": file.mode}).encode() + b"\n"
        sealed = seal(host_key(places), header + content.encode(), f"{stack}/{file.host_name}")
        write_whole(kept, sealed, mode=0o600)
    if not inside.exists():
        write_whole(inside, content.encode(), mode=file.mode, owner=(file.uid, file.gid))


def remove_files(places: Places, stack: str, keep: Collection[str] = ()) -> None:
    """Afterwards the stack has no files here but those whose `host_name` is in `keep`."""
    for directory in (places.files / stack, _kept(places) / stack):
        if not directory.is_dir():
            continue
        for path in directory.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)
        if not any(directory.iterdir()):
            directory.rmdir()


def refill(places: Places) -> int:
    """Afterwards every file of which there is an encrypted copy is in memory again. Returns how many there are.

    Raises: StampedeError naming copies that cannot be read, once all others are in place.
    """
    copies = sorted(path for path in _kept(places).glob("*/*") if not path.name.startswith("."))
    if not copies:
        return 0
    _ensure_in_memory(places)
    key, damaged = host_key(places), []
    for copy in copies:
        stack, name = copy.parent.name, copy.name
        try:
            header, _, content = unseal(key, copy.read_bytes(), f"{stack}/{name}").partition(b"\n")
        except Damaged:
            damaged.append(f"{stack}/{name}")
            continue
        said = json.loads(header)
        inside = places.files / stack / name
        if not inside.exists():
            write_whole(inside, content, mode=said["mode"], owner=(said["uid"], said["gid"]))
    if damaged:
        raise StampedeError(
            f"the host's copies of {', '.join(damaged)} cannot be read", "`stampede up` of the stack places them anew"
        )
    return len(copies)


def _kept(places: Places) -> Path:
    return places.host / "files"


def _paths(places: Places, stack: str, name: str) -> tuple[Path, Path]:
    return places.files / stack / name, _kept(places) / stack / name


def _ensure_in_memory(places: Places) -> None:
    """Afterwards places.files is on tmpfs: a mount of its own where the run directory is on a disk."""
    places.files.mkdir(mode=0o700, parents=True, exist_ok=True)
    with one_at_a_time(places.run / "files.lock"):
        if _file_system(places.files) not in _IN_MEMORY:
            options = "mode=0700,nosuid,nodev"  # not noexec: a config may be a script
            programs.run(["mount", "-t", "tmpfs", "-o", options, "stampede-files", places.files])


def _file_system(path: Path) -> str:
    """Type of the file system a directory is on: of the mount with the longest fitting path, the latest of equals."""
    path, best, kind = path.resolve(), -1, ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, fs_type = line.split(" ")[:3]
        mount = mount.encode().decode("unicode_escape")  # blanks are written \\040
        if path.is_relative_to(mount) and len(mount) >= best:
            best, kind = len(mount), fs_type
    return kind
