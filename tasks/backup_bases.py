"""Which snapshot became which backup: what the next backup of a volume is compared with. A file of the host each.

When one is lost, the next backup reads the whole volume and sends no more than what differs.
"""

from __future__ import annotations

from stampede.backup.views import VolumeBackedUp
from stampede.control_plane.services import write_private
from stampede.frozen import Frozen
from stampede.places import Places
from stampede.volumes.names import check_volume_name

FOLDER = "backups"


class Base(Frozen):
    """The snapshot of the latest backup of a volume of this host, and what that came to."""

    repository: str
    snapshot: str
    report: VolumeBackedUp


def read_base(places: Places, volume: str) -> Base | None:
    """That of a volume (Docker's name); None without any, or if it makes no sense."""
    try:
        return Base.model_validate_json((places.host / FOLDER / f"{check_volume_name(volume)}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def write_base(places: Places, volume: str, base: Base) -> None:
    """Afterwards it is that of the volume, also after a power cut."""
    folder = places.host / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / f"{check_volume_name(volume)}.json", base.model_dump_json(indent=1) + "\n")
