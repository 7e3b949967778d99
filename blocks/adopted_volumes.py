"""Which of Compose's volumes a stack took over on this host: a file per stack, places.host/adopted/<stack>.json.

Docker cannot label a volume that exists, so this is the one thing that is not written on the thing itself. When the
file is lost, `up` refuses the volume, and `adopt` takes it over again.
"""

from __future__ import annotations

import json

from stampede.control_plane.services import write_private
from stampede.places import Places


def adopted_volumes(places: Places, stack: str) -> frozenset[str]:
    """Names of the volumes that the stack uses although Compose made them; they are never removed."""
    try:
        return frozenset(json.loads((places.host / "adopted" / f"{stack}.json").read_text()))
    except FileNotFoundError:
        return frozenset()


def adopt_volumes(places: Places, stack: str, names: tuple[str, ...]) -> None:
    """Afterwards these are among the stack's adopted volumes."""
    all_of_them = sorted({*adopted_volumes(places, stack), *names})
    (places.host / "adopted").mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(places.host / "adopted" / f"{stack}.json", json.dumps(all_of_them) + "\n")
