"""An ejected stack on its host: the directory of its Compose file, and what an ejection under way has decided.

places.host/ejections/<stack>.json   the decision, from before the first side effect until the stack is forgotten
<directory>/compose.yaml, configs/, secrets/   what is left; the directory can be entered by root only
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stampede.blocks.sealed_files import write_whole
from stampede.control_plane.services import write_private
from stampede.ejection.compose_file import header
from stampede.ejection.models import COMPOSE_FILE, EjectedFile, Ejection
from stampede.places import Places

_FOLDERS = ("configs", "secrets")


def why_not(directory: Path, stack: str) -> str:
    """Why this directory cannot hold the stack, completing "<directory> …"; empty if it can."""
    if not directory.exists():
        return ""
    if not directory.is_dir():
        return "is no directory"
    if not any(directory.iterdir()) or _is_of(directory, stack):
        return ""
    return "holds something else already"


def write_project(directory: Path, stack: str, text: str, files: Iterable[EjectedFile]) -> None:
    """Afterwards the Compose file and the files beside it are there, and no others of an earlier ejection."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    write_whole(directory / COMPOSE_FILE, text.encode(), mode=0o600)
    wanted = {directory / file.path: file for file in files}
    for path in _beside(directory):
        if path not in wanted:
            path.unlink(missing_ok=True)
    for path, file in wanted.items():
        write_whole(path, file.content.encode(), mode=file.mode, owner=(file.uid, file.gid))


def remove_project(directory: Path, stack: str) -> None:
    """Afterwards nothing of what `write_project` wrote is left; what somebody added is."""
    if not _is_of(directory, stack):
        return
    for path in _beside(directory):
        path.unlink(missing_ok=True)
    (directory / COMPOSE_FILE).unlink(missing_ok=True)
    for folder in (*(directory / name for name in _FOLDERS), directory):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def note_begun(places: Places, ejection: Ejection) -> None:
    """Afterwards the host remembers what was decided."""
    path = _record(places, ejection.stack)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, ejection.model_dump_json() + "\n")


def read_begun(places: Places, stack: str) -> Ejection | None:
    """What was decided; None when no ejection of the stack is under way."""
    try:
        return Ejection.model_validate_json(_record(places, stack).read_bytes())
    except FileNotFoundError:
        return None


def forget_begun(places: Places, stack: str) -> None:
    """Afterwards the host remembers no ejection of the stack."""
    _record(places, stack).unlink(missing_ok=True)


def _is_of(directory: Path, stack: str) -> bool:
    try:
        return (directory / COMPOSE_FILE).read_text().startswith(header(stack))
    except (OSError, UnicodeDecodeError):
        return False


def _beside(directory: Path) -> list[Path]:
    return [path for name in _FOLDERS for path in (directory / name).glob("*") if path.is_file()]


def _record(places: Places, stack: str) -> Path:
    return places.host / "ejections" / f"{stack}.json"
