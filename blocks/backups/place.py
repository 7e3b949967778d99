"""Where an opened backup is on this host: a folder with its cache, the file that is served, and a mount of that."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from stampede.blocks.detaching import detach
from stampede.frozen import Frozen


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
