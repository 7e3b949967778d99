"""Names of objects in a repository. None of them is ever written twice.

repo                           format, repository id, key slots
slots/<id>                     key slots that were added later
v/<volume>/s/<seq>             the log of a volume: snapshot, drop, gc, damage
v/<volume>/k/<seq>             what the log says up to there, each 64 commits
v/<volume>/p/<base>-<run>-<n>  packs; <base> is the commit that the run set out from
"""

from __future__ import annotations

import re

from stampede.errors import BadInput, Damaged

REPOSITORY = "repo"
SLOTS = "slots/"
VOLUMES = "v/"
_LONGEST = 200
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def volume_folder(volume: str) -> str:
    """The folder of a volume, for any name: what could mislead a server or a path is written as ~XX of its UTF-8.

    Raises: BadInput for a name that is empty or too long.
    """
    if not volume or len(volume.encode()) > _LONGEST:
        raise BadInput(f"a volume's name has 1 to {_LONGEST} bytes: {volume[:40]!r}")
    plain = "".join(
        character if character in _PLAIN else "".join(f"~{byte:02X}" for byte in character.encode())
        for character in volume
    )
    return VOLUMES + (f"~2E{plain[1:]}" if plain.startswith(".") else plain)


def volume_of(folder: str) -> str:
    """The name of the volume whose folder (without v/) this is. Raises: Damaged if it is none."""
    pieces = re.sub(rb"~([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), folder.encode())
    try:
        return pieces.decode()
    except UnicodeDecodeError as error:
        raise Damaged(f"v/{folder} is no folder of a volume") from error


def commit_name(folder: str, seq: int) -> str:
    return f"{folder}/s/{seq:012}"


def checkpoint_name(folder: str, seq: int) -> str:
    return f"{folder}/k/{seq:012}"


def pack_prefix(folder: str, base: int) -> str:
    """What the packs of all runs begin with that set out from commit `base`."""
    return f"{folder}/p/{base:012}-"


def pack_object(folder: str, pack: str) -> str:
    """The object of a pack, which is called by the rest of its name everywhere else."""
    return f"{folder}/p/{pack}"


def seq_of(name: str) -> int:
    """The number of a commit or checkpoint. Raises: Damaged."""
    number = name.rpartition("/")[2]
    if not (number.isascii() and number.isdigit() and len(number) == 12):
        raise Damaged(f"{name} is no commit")
    return int(number)
