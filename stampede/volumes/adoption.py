"""A volume of Docker's own that becomes a managed one: whether it can, and what people must know before. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stampede.errors import BadInput, Foreign, Refused, UnknownName
from stampede.frozen import Frozen
from stampede.volumes.room import human

ADOPTED_FROM = "stampede.adopted-from"  # on a managed volume: the volume of Docker's own that its data came from
ADOPTED_DIRECTORY = "stampede.adopted-directory"  # and the directory itself: a later one of that name is another
ORIGINAL = "-original"
_SPARE = 1.1  # an ext4 needs some of its size itself
_SPARE_BYTES = 16 << 20


class PlainVolume(Frozen):
    """What a host has of a name: `is_there` as a volume of Docker's own, `bound` as a managed one that Docker knows.

    `begun` says that the pool's was filled by an adoption, and from this very one of Docker's own if there is one.
    `users` are all containers that mount Docker's own.
    """

    host: str
    is_there: bool = False
    bound: bool = False
    used_bytes: int = 0
    users: tuple[str, ...] = ()
    in_pool: bool = False
    begun: bool = False


def the_one(label: str, name: str, found: Sequence[PlainVolume]) -> PlainVolume:
    """The volume to adopt, or the one that was. Raises: UnknownName, BadInput when several hosts have it."""
    here = [one for one in found if one.is_there or one.bound or one.begun]
    if len(here) > 1:
        raise BadInput(
            f"{label} is on several hosts: {', '.join(one.host for one in here)}", "that is not possible yet"
        )
    if not here:
        raise UnknownName(f"no host has a volume {name} of Docker's own", "`docker volume ls` lists them")
    return here[0]


def refuse_adoption(label: str, volume: PlainVolume, size_bytes: int, own: Collection[str]) -> None:
    """Returns if it can be adopted. `own` are containers of the stack. Raises: Refused, Foreign."""
    if volume.in_pool and not volume.begun:
        raise Refused(
            f"{label} is a managed volume and one of Docker's own at once",
            "look at both, and remove one first: `docker volume rm`, or `stampede volume rm`",
        )
    if others := sorted(set(volume.users) - set(own)):
        raise Foreign(
            f"{label} is mounted by {', '.join(others)}, which this stack does not run",
            f"remove them first: docker rm {' '.join(others)}",
        )
    if size_bytes < volume.used_bytes * _SPARE + _SPARE_BYTES:
        raise Refused(
            f"{label} holds {human(volume.used_bytes)}, which {human(size_bytes)} are too little for",
            "--size gives it more, and x-size in the stack file",
        )
