"""Who has which opened backup on this host: what the dead have left of theirs is cleared."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex

from stampede.blocks.backups.place import Place
from stampede.blocks.sealed_files import one_at_a_time
from stampede.blocks.volumes.layout import claimed
from stampede.places import Places


@contextmanager
def claimed_place(places: Places) -> Iterator[Place]:
    """A new place, which is gone after the context; and nothing is left of those whose owners have died."""
    with _changing(places):
        _clear(places)
        place = Place(folder=places.opened / token_hex(6))
        place.make()
        claim = claimed(place.folder)
    assert claim is not None
    try:
        yield place
    finally:
        place.close()
        os.close(claim)


def clear_opened(places: Places) -> None:
    """Afterwards nothing is mounted or left of backups that were opened by processes that have died."""
    if places.opened.is_dir():
        with _changing(places):
            _clear(places)


@contextmanager
def _changing(places: Places) -> Iterator[None]:
    places.opened.mkdir(mode=0o700, parents=True, exist_ok=True)
    with one_at_a_time(places.state / "opened.lock"):
        yield


def _clear(places: Places) -> None:
    for folder in places.opened.iterdir():
        try:
            claim = claimed(folder)
        except FileNotFoundError:
            continue  # its server has cleared it meanwhile
        if claim is not None:
            try:
                Place(folder=folder).close()
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    raise
            finally:
                os.close(claim)
