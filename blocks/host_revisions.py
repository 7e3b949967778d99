"""The revisions that a host runs, as files of its own: from them a server whose database was lost is filled again.

places.host/revisions/<stack>/r<n>.json       a revision, sealed, because it holds the contents of secrets
places.host/revisions/<stack>/standing.json   which of them is wanted and which serves, as this host was last told
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from pathlib import Path

from stampede.blocks.sealed_files import host_key, seal, unseal, write_whole
from stampede.control_plane.services import write_private
from stampede.documents import Revision, revision_name
from stampede.frozen import Frozen
from stampede.places import Places

KEPT = 5
STANDING = "standing.json"
_NUMBERED = re.compile(r"r(\d+)\.json")


class Standing(Frozen):
    """Where a stack stands as this host was told by the change with this fencing number.

    `changing` while that change moves something here.
    """

    stack: str
    fence: int
    wanted: int
    serving: int = 0
    changing: bool = False


def keep_revision(places: Places, revision: Revision) -> None:
    """Afterwards this host has the revision in a file; a no-op if it has."""
    path = _folder(places) / revision.stack / f"r{revision.number}.json"
    if not path.exists():
        name = revision_name(revision.stack, revision.number)
        write_whole(path, seal(host_key(places), revision.model_dump_json().encode(), name), mode=0o600)


def write_standing(places: Places, standing: Standing) -> None:
    """Afterwards the host's file says so."""
    folder = _folder(places) / standing.stack
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / STANDING, standing.model_dump_json() + "\n")


def read_standing(places: Places, stack: str) -> Standing | None:
    """What the host's file says; None for a stack that it does not run."""
    try:
        return Standing.model_validate_json((_folder(places) / stack / STANDING).read_bytes())
    except FileNotFoundError:
        return None


def kept_stacks(places: Places) -> list[str]:
    """Stacks of which this host has files."""
    return sorted(path.parent.name for path in _folder(places).glob(f"*/{STANDING}"))


def read_revisions(places: Places, stack: str) -> Iterator[Revision]:
    """Those that are kept, lowest number first. Raises: Damaged."""
    key = host_key(places)
    for number, path in sorted(_numbered(places, stack).items()):
        yield Revision.model_validate_json(unseal(key, path.read_bytes(), revision_name(stack, number)))


def superseded(places: Places, stack: str) -> frozenset[int]:
    """Numbers of the revisions that are kept besides the newest 5."""
    return frozenset(sorted(_numbered(places, stack))[:-KEPT])


def forget_revisions(places: Places, stack: str, numbers: Set[int]) -> None:
    """Afterwards these are not kept any more."""
    for number, path in _numbered(places, stack).items():
        if number in numbers:
            path.unlink(missing_ok=True)


def forget_stack(places: Places, stack: str) -> None:
    """Afterwards this host has no file of the stack's revisions."""
    folder = _folder(places) / stack
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


def _numbered(places: Places, stack: str) -> dict[int, Path]:
    matches = ((path, _NUMBERED.fullmatch(path.name)) for path in (_folder(places) / stack).glob("r*.json"))
    return {int(match[1]): path for path, match in matches if match}


def _folder(places: Places) -> Path:
    return places.host / "revisions"
