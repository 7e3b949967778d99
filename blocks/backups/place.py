"""Where an opened backup is on this host: a folder with its cache, the file that is served, and a mount of that."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from stampede.blocks.sealed_files import one_at_a_time
from stampede.blocks.volumes.layout import claimed
from stampede.blocks.volumes.mounts import detach
from stampede.frozen import Frozen
from stampede.places import Places


class Place(Frozen):
    """One opened backup."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def image(self) -> Path:
        return self.folder / "image"

    @property
    def mount(self) -> Path:
        return self.folder / "mount"

    def make(self) -> None:
        self.mount.mkdir(mode=0o700, parents=True)
        self.image.touch(mode=0o600)

    def close(self) -> None:
        """Afterwards it is gone; what is still read from it goes on until it ends. A no-op if it was gone."""
        detach(self.mount)
        detach(self.image)
        self.cache.unlink(missing_ok=True)
        self.image.unlink(missing_ok=True)
        for folder in (self.mount, self.folder):
            with suppress(FileNotFoundError):
                folder.rmdir()


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
